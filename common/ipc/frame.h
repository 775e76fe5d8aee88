// Messages with descriptors over a Unix stream socket: 4 bytes of length, big-endian, then the
// payload. Descriptors travel with the first byte of their frame (SCM_RIGHTS).

#ifndef SALLYPORT_COMMON_IPC_FRAME_H_
#define SALLYPORT_COMMON_IPC_FRAME_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport {

// Longest payload, in bytes.
inline constexpr size_t kMaxFramePayload = size_t{64} << 20;
// Most descriptors of one frame.
inline constexpr size_t kMaxFrameDescriptors = 16;

struct Frame {
  std::string payload;
  std::vector<UniqueFd> fds;  // Close-on-exec.
};

// Both block, or wait as long as the socket's SO_SNDTIMEO / SO_RCVTIMEO allows. One thread at a
// time may send on a socket, and one receive. After any error the stream is out of step: close it.
//   OUT_OF_RANGE         receiving: the peer closed the socket, between two frames
//   UNAVAILABLE          the peer closed the socket without having read what was sent
//   DEADLINE_EXCEEDED    the socket's timeout passed
//   DATA_LOSS            the peer closed inside a frame
//   INVALID_ARGUMENT     too long, or too many descriptors
//   RESOURCE_EXHAUSTED   this process cannot hold the descriptors that were sent

// The descriptors stay the caller's.
absl::Status SendFrame(int socket, std::string_view payload, std::span<const int> fds);

absl::StatusOr<Frame> ReceiveFrame(int socket);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_IPC_FRAME_H_
