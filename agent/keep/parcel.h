// A record and descriptors that belong to it, as one descriptor.

#ifndef SALLYPORT_AGENT_KEEP_PARCEL_H_
#define SALLYPORT_AGENT_KEEP_PARCEL_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

inline constexpr size_t kMaxParcelBytes = size_t{64} << 10;
inline constexpr size_t kMaxParcelDescriptors = 16;

struct Parcel {
  std::string record;
  std::vector<UniqueFd> fds;  // Close-on-exec.
};

// A Unix socket with one packet in its queue. The record is in the kernel's memory, which is never
// swapped out, and goes with the last descriptor of the socket. Descriptors stay the caller's.
absl::StatusOr<UniqueFd> Pack(std::string_view record, std::span<const int> fds);

// A copy of what is in it; it stays packed. INVALID_ARGUMENT: it is no parcel.
absl::StatusOr<Parcel> Unpack(int packed);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_KEEP_PARCEL_H_
