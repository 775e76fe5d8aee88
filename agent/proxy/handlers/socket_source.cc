#include "agent/proxy/handlers/socket_source.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/proxy/control.pb.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/ipc/frame.h"

namespace sallyport::proxy {
namespace {

absl::Status NotAsked(int error) {
  return absl::UnavailableError(
      StrCat("the agent cannot be asked for a socket: ", std::strerror(error)));
}

}  // namespace

absl::StatusOr<UniqueFd> SocketSource::Ask(const std::string& path) const {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return NotAsked(errno);
  UniqueFd own(pair[0]);
  const UniqueFd theirs(pair[1]);
  internal::NeedSocket need;
  need.set_path(path);
  const std::string packet = need.SerializeAsString();
  iovec part{const_cast<char*>(packet.data()), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &pair[1], sizeof(int));
  // A worker waits for nobody: an agent that does not keep up is an error.
  if (sendmsg(way_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return NotAsked(errno);
  return own;
}

Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectToSocket(
    boost::asio::io_context* context, std::shared_ptr<const SocketSource> source, std::string path,
    SteadyTime deadline) {
  CO_ASSIGN_OR_RETURN(UniqueFd asked, source->Ask(path));
  TcpStream answering(*context, std::move(asked));
  answering.SetDeadline(deadline);
  const absl::Status readable = co_await answering.WaitReadable();
  if (!readable.ok()) {
    co_return absl::IsDeadlineExceeded(readable)
        ? absl::DeadlineExceededError("the agent gave no socket in time")
        : readable;
  }
  // The agent sends the frame in one piece.
  absl::StatusOr<Frame> frame = ReceiveFrame(answering.native_handle());
  internal::HandlerSocket answer;
  if (!frame.ok() || !answer.ParseFromString(frame->payload))
    co_return absl::UnavailableError("the agent gave no socket");
  if (!answer.error().empty() || frame->fds.size() != 1)
    co_return absl::UnavailableError(StrCat("no socket from the agent: ", answer.error()));
  co_return std::make_unique<TcpStream>(*context, std::move(frame->fds[0]));
}

}  // namespace sallyport::proxy
