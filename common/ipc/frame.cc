#include "common/ipc/frame.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace sallyport {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMaxFrameDescriptors);

absl::Status SocketError(const char* doing, int error) {
  if (error == EPIPE || error == ECONNRESET) {
    return absl::UnavailableError(absl::StrCat(doing, ": the peer closed the socket"));
  }
  if (error == EAGAIN || error == EWOULDBLOCK) {
    return absl::DeadlineExceededError(absl::StrCat(doing, ": the peer took too long"));
  }
  return absl::ErrnoToStatus(error, doing);
}

// Moves the start of `parts` past `count` bytes that were sent.
void Advance(std::span<iovec, 2> parts, size_t count) {
  for (iovec& part : parts) {
    const size_t here = std::min(count, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + here;
    part.iov_len -= here;
    count -= here;
  }
}

// Takes the descriptors of `message` into `fds`, also those of a message that is refused, so that
// none leaks.
absl::Status TakeDescriptors(msghdr* message, std::vector<UniqueFd>* fds) {
  for (cmsghdr* control = CMSG_FIRSTHDR(message); control != nullptr;
       control = CMSG_NXTHDR(message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
      fds->emplace_back(fd);
    }
  }
  if ((message->msg_flags & MSG_CTRUNC) != 0) {
    return absl::ResourceExhaustedError(
        "receiving a frame: this process cannot hold the descriptors; raise its limit of open "
        "files");
  }
  return absl::OkStatus();
}

// Reads 1 to `size` bytes, and descriptors that come with them if `fds` is given. 0: end of stream.
absl::StatusOr<size_t> ReadSome(int socket, char* data, size_t size, std::vector<UniqueFd>* fds) {
  iovec part{data, size};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fds != nullptr) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
  }
  ssize_t count;
  do {
    count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return SocketError("receiving a frame", errno);
  if (fds != nullptr) RETURN_IF_ERROR(TakeDescriptors(&message, fds));
  return static_cast<size_t>(count);
}

}  // namespace

absl::Status SendFrame(int socket, std::string_view payload, std::span<const int> fds) {
  if (payload.size() > kMaxFramePayload) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a frame of ", payload.size(), " bytes is over the limit of ", kMaxFramePayload));
  }
  if (fds.size() > kMaxFrameDescriptors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a frame with ", fds.size(), " descriptors is over the limit of ", kMaxFrameDescriptors));
  }
  const uint32_t length = static_cast<uint32_t>(payload.size());
  unsigned char header[kHeaderBytes] = {
      static_cast<unsigned char>(length >> 24), static_cast<unsigned char>(length >> 16),
      static_cast<unsigned char>(length >> 8), static_cast<unsigned char>(length)};
  iovec parts[2] = {{header, kHeaderBytes}, {const_cast<char*>(payload.data()), payload.size()}};

  alignas(cmsghdr) char control[kControlBytes] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  size_t left = kHeaderBytes + payload.size();
  while (left > 0) {
    const ssize_t count = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EINTR) continue;
      return SocketError("sending a frame", errno);
    }
    left -= static_cast<size_t>(count);
    Advance(parts, static_cast<size_t>(count));
    // They went with the first byte.
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
  return absl::OkStatus();
}

absl::StatusOr<Frame> ReceiveFrame(int socket) {
  Frame frame;
  unsigned char header[kHeaderBytes];
  size_t have = 0;
  while (have < kHeaderBytes) {
    ASSIGN_OR_RETURN(const size_t count,
                     ReadSome(socket, reinterpret_cast<char*>(header) + have, kHeaderBytes - have,
                              have == 0 ? &frame.fds : nullptr));
    if (count == 0) {
      if (have == 0) return absl::OutOfRangeError("receiving a frame: the peer closed the socket");
      return absl::DataLossError("receiving a frame: the peer closed the socket inside its header");
    }
    have += count;
  }
  const size_t length =
      size_t{header[0]} << 24 | size_t{header[1]} << 16 | size_t{header[2]} << 8 | header[3];
  if (length > kMaxFramePayload) {
    return absl::InvalidArgumentError(
        absl::StrCat("a frame of ", length, " bytes is over the limit of ", kMaxFramePayload));
  }
  frame.payload.resize(length);
  for (size_t done = 0; done < length;) {
    ASSIGN_OR_RETURN(const size_t count,
                     ReadSome(socket, frame.payload.data() + done, length - done, nullptr));
    if (count == 0) {
      return absl::DataLossError(absl::StrCat(
          "receiving a frame: the peer closed the socket after ", done, " of ", length, " bytes"));
    }
    done += count;
  }
  return frame;
}

}  // namespace sallyport
