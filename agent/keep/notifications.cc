#include "agent/keep/notifications.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

constexpr size_t kMaxMessageBytes = 4096;
constexpr size_t kMaxDescriptors = 16;

Notification Parse(std::string_view message) {
  Notification notification;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(message), '\n')) {
    constexpr std::string_view kName = "FDNAME=";
    const std::string_view text = ToStd(line);
    if (text == "READY=1") notification.ready = true;
    if (text == "STOPPING=1") notification.stopping = true;
    if (text == "FDSTORE=1") notification.store = true;
    if (text == "FDSTOREREMOVE=1") notification.remove = true;
    if (text.starts_with(kName)) notification.name = text.substr(kName.size());
  }
  return notification;
}

}  // namespace

absl::StatusOr<Notifications> Notifications::Open() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int one = 1;
  socklen_t length = sizeof(address);
  // Bound to no name: the kernel finds one (unix(7), autobind).
  if (!socket.valid() ||
      setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) != 0 ||
      bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) != 0 ||
      getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return absl::ErrnoToStatus(errno, "no socket for the agent to be heard on");
  }
  const size_t name_bytes = length - offsetof(sockaddr_un, sun_path);
  std::string name = "@" + std::string(address.sun_path + 1, name_bytes - 1);
  return Notifications(std::move(socket), std::move(name));
}

std::optional<Notification> Notifications::Next() {
  std::array<char, kMaxMessageBytes> bytes;
  iovec part{bytes.data(), bytes.size()};
  alignas(
      cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors) + CMSG_SPACE(sizeof(ucred))];
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof(control);
  ssize_t count;
  do {
    count = recvmsg(socket_.get(), &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return std::nullopt;
  Notification notification = Parse({bytes.data(), static_cast<size_t>(count)});
  for (cmsghdr* one = CMSG_FIRSTHDR(&packet); one != nullptr; one = CMSG_NXTHDR(&packet, one)) {
    if (one->cmsg_level != SOL_SOCKET) continue;
    if (one->cmsg_type == SCM_CREDENTIALS && one->cmsg_len == CMSG_LEN(sizeof(ucred))) {
      ucred credentials;
      std::memcpy(&credentials, CMSG_DATA(one), sizeof(credentials));
      notification.sender = credentials.pid;
    }
    if (one->cmsg_type != SCM_RIGHTS) continue;
    const size_t fds = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < fds; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(one) + i * sizeof(int), sizeof(int));
      notification.fds.emplace_back(fd);
    }
  }
  return notification;
}

}  // namespace sallyport::agent
