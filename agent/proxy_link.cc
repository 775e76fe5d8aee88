#include "agent/proxy_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/secrets/secrets.h"
#include "common/base/status.h"
#include "common/builtin/secret_reference.h"
#include "common/ipc/frame.h"

namespace sallyport::agent {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

ProxyLink::ProxyLink(UniqueFd socket, milliseconds timeout)
    : socket_(std::move(socket)), timeout_(timeout) {
  // For a proxy that stops reading or writing inside a frame.
  const timeval limit{.tv_sec = timeout_.count() / 1000, .tv_usec = timeout_.count() % 1000 * 1000};
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

absl::StatusOr<internal::Ready> ProxyLink::WaitReady() {
  ASSIGN_OR_RETURN(const internal::Event event, Receive(steady_clock::now() + timeout_));
  if (!event.has_ready()) return absl::InternalError("the proxy's first message is not Ready");
  return event.ready();
}

absl::StatusOr<internal::Done> ProxyLink::Call(internal::Command command,
                                               std::span<const int> fds) {
  command.set_sequence(++sequence_);
  std::string payload = command.SerializeAsString();
  const absl::Status sent = SendFrame(socket_.get(), payload, fds);
  // It may hold secrets.
  WipeSecrets(&command);
  Wipe(&payload);
  RETURN_IF_ERROR(sent);
  ASSIGN_OR_RETURN(internal::Event event, Receive(steady_clock::now() + timeout_));
  if (!event.has_done() || event.done().sequence() != sequence_) {
    return absl::InternalError("the proxy answered something that was not asked");
  }
  return std::move(*event.mutable_done());
}

absl::StatusOr<internal::Event> ProxyLink::Receive(steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    pollfd readable{socket_.get(), POLLIN, 0};
    const int ready = poll(&readable, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("the proxy did not answer within ", timeout_.count(), " ms"));
    }
    break;
  }
  ASSIGN_OR_RETURN(const Frame frame, ReceiveFrame(socket_.get()));
  internal::Event event;
  if (!event.ParseFromString(frame.payload)) {
    return absl::InternalError("the proxy sent something that is not an event");
  }
  return event;
}

}  // namespace sallyport::agent
