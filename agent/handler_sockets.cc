#include "agent/handler_sockets.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "agent/proxy/control.pb.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/ipc/frame.h"

namespace sallyport::agent {
namespace {

// A NeedSocket is a path and little else.
constexpr size_t kMaxRequestBytes = 1024;

struct Request {
  internal::NeedSocket message;
  UniqueFd answer;
};

// nullopt inside: a packet that is none of ours. OUT_OF_RANGE: the proxy has closed its end.
absl::StatusOr<std::optional<Request>> Receive(int socket) {
  std::array<char, kMaxRequestBytes> bytes;
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof(control);
  const ssize_t count = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::nullopt;
  if (count < 0) return absl::ErrnoToStatus(errno, "receiving from the proxy");
  Request request;
  const cmsghdr* rights = CMSG_FIRSTHDR(&packet);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
      rights->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
    request.answer = UniqueFd(fd);
  }
  if (count == 0) return absl::OutOfRangeError("the proxy has closed its end");
  if (!request.answer.valid() || (packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
      !request.message.ParseFromArray(bytes.data(), static_cast<int>(count))) {
    return std::nullopt;
  }
  return request;
}

}  // namespace

HandlerSockets::HandlerSockets(Check check, UniqueFd own)
    : check_(std::move(check)), wake_(eventfd(0, EFD_CLOEXEC)), own_(std::move(own)) {
  int pair[2];
  if (!own_.valid() && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
    own_ = UniqueFd(pair[0]);
    peer_ = UniqueFd(pair[1]);
  }
  thread_ = std::thread([this] { Run(); });
}

HandlerSockets::~HandlerSockets() {
  const uint64_t one = 1;
  // An eventfd that is readable already is all that is wanted.
  (void)!write(wake_.get(), &one, sizeof(one));
  thread_.join();
}

void HandlerSockets::Run() {
  if (!own_.valid() || !wake_.valid()) return;
  while (true) {
    pollfd waiting[2] = {{own_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[1].revents != 0 || !ServeOne()) return;
  }
}

bool HandlerSockets::ServeOne() {
  absl::StatusOr<std::optional<Request>> request = Receive(own_.get());
  if (!request.ok()) return false;
  if (!request->has_value()) return true;
  const absl::StatusOr<UniqueFd> connected = Connect((*request)->message.path());
  internal::HandlerSocket answer;
  if (!connected.ok()) answer.set_error(std::string(connected.status().message()));
  std::vector<int> fds;
  if (connected.ok()) fds.push_back(connected->get());
  // A proxy that does not read is not waited for.
  const timeval limit{.tv_sec = 1, .tv_usec = 0};
  setsockopt((*request)->answer.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  // Who asked may have given up meanwhile.
  SendFrame((*request)->answer.get(), answer.SerializeAsString(), fds).IgnoreError();
  return true;
}

absl::StatusOr<UniqueFd> HandlerSockets::Connect(const std::string& path) const {
  RETURN_IF_ERROR(check_(path));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(StrCat("the path ", Quote(path), " is too long"));
  std::memcpy(address.sun_path, path.data(), path.size());
  // Non-blocking: a handler whose queue is full is an error, and keeps nobody waiting.
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return absl::ErrnoToStatus(errno, "making a socket");
  const socklen_t length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return absl::UnavailableError(StrCat("connecting to ", path, ": ", std::strerror(errno)));
  }
  return socket;
}

absl::Status CheckSocketDirectory(const std::string& path,
                                  const std::vector<std::string>& directories) {
  for (const std::string& directory : directories) {
    if (path.starts_with(directory + "/")) return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      StrCat("the socket ", Quote(path), " is not below ", absl::StrJoin(directories, ", "),
             "; put it there, or start the agent with --handler-socket-dir"));
}

}  // namespace sallyport::agent
