#include "agent/keep/parcel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/status.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::agent {

absl::StatusOr<UniqueFd> Pack(std::string_view record, std::span<const int> fds) {
  if (record.empty() || record.size() > kMaxParcelBytes || fds.size() > kMaxParcelDescriptors)
    return absl::InvalidArgumentError("too much for a parcel, or nothing");
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return absl::ErrnoToStatus(errno, "no socket to pack into");
  const UniqueFd in(pair[0]);
  UniqueFd packed(pair[1]);
  iovec part{const_cast<char*>(record.data()), record.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxParcelDescriptors)] = {};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  if (!fds.empty()) {
    packet.msg_control = control;
    packet.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  if (sendmsg(in.get(), &packet, MSG_NOSIGNAL | MSG_DONTWAIT) !=
      static_cast<ssize_t>(record.size())) {
    return absl::ErrnoToStatus(errno, "cannot pack");
  }
  return packed;
}

absl::StatusOr<Parcel> Unpack(int packed) {
  Parcel parcel;
  std::string bytes(kMaxParcelBytes, '\0');
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxParcelDescriptors)];
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof(control);
  const ssize_t count = recvmsg(packed, &packet, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count <= 0) return absl::InvalidArgumentError("it is no parcel");
  for (cmsghdr* one = CMSG_FIRSTHDR(&packet); one != nullptr; one = CMSG_NXTHDR(&packet, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const size_t fds = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < fds; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(one) + i * sizeof(int), sizeof(int));
      parcel.fds.emplace_back(fd);
    }
  }
  // It may hold a key.
  parcel.record.assign(bytes, 0, static_cast<size_t>(count));
  Wipe(&bytes);
  if ((packet.msg_flags & MSG_CTRUNC) != 0) {
    return absl::ResourceExhaustedError(
        "this process cannot hold what is in a parcel; raise its limit of open files");
  }
  return parcel;
}

}  // namespace sallyport::agent
