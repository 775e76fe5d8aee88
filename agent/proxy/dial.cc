#include "agent/proxy/dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kAttemptTime{4};

}  // namespace

Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectTo(boost::asio::io_context* context,
                                                           IpAddress address, uint16_t port,
                                                           SteadyTime deadline) {
  UniqueFd socket(::socket(address.is_v4() ? AF_INET : AF_INET6,
                           SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) co_return absl::ErrnoToStatus(errno, "cannot make a socket");
  const int fd = socket.get();
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  sockaddr_storage storage;
  const socklen_t length = address.ToSockaddr(port, &storage);
  const bool pending = ::connect(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0;
  if (pending && errno != EINPROGRESS) {
    co_return absl::UnavailableError(
        StrCat("connect to ", address.ToUriString(), ":", port, ": ", strerror(errno)));
  }
  auto stream = std::make_unique<TcpStream>(*context, std::move(socket));
  if (pending) {
    stream->SetDeadline(deadline);
    const absl::Status ready = co_await stream->WaitWritable();
    if (absl::IsDeadlineExceeded(ready)) {
      co_return absl::DeadlineExceededError(
          StrCat("connect to ", address.ToUriString(), ":", port, ": no answer in time"));
    }
    if (!ready.ok()) co_return ready;
    int error = 0;
    socklen_t error_length = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_length);
    if (error != 0) {
      co_return absl::UnavailableError(
          StrCat("connect to ", address.ToUriString(), ":", port, ": ", strerror(error)));
    }
  }
  co_return stream;
}

Task<DialResult> Dial(DialContext context, PolicySource policy, Host host, uint16_t port,
                      SteadyTime deadline) {
  const absl::StatusOr<std::vector<IpAddress>> addresses = co_await context.resolver->Resolve(host);
  if (absl::IsDeadlineExceeded(addresses.status())) {
    co_return DialFailed{"origin_timeout", std::string(addresses.status().message())};
  }
  if (!addresses.ok())
    co_return DialFailed{"origin_unreachable", std::string(addresses.status().message())};

  DialResult outcome = DialFailed{"origin_unreachable", StrCat(host.text(), " has no address")};
  for (const IpAddress& address : *addresses) {
    const std::shared_ptr<const EffectivePolicy> now = policy();
    if (now == nullptr) co_return Denial{Reason::kNoPolicy};
    const AddressVerdict verdict = CheckDialledAddress(*now, address, *context.open_ranges);
    if (const Deny* deny = std::get_if<Deny>(&verdict)) {
      // A failed attempt says more than the refusal of another address.
      if (std::get_if<DialFailed>(&outcome) != nullptr && address == addresses->front())
        outcome = ToDenial(*deny);
      continue;
    }
    const SteadyTime attempt_deadline =
        std::min(deadline, std::chrono::steady_clock::now() + kAttemptTime);
    absl::StatusOr<std::unique_ptr<TcpStream>> stream =
        co_await ConnectTo(context.context, address, port, attempt_deadline);
    if (stream.ok()) {
      co_return Dialled{*std::move(stream), address, std::get<MayDial>(verdict).would_deny};
    }
    const bool late = absl::IsDeadlineExceeded(stream.status());
    outcome = DialFailed{late ? "origin_timeout" : "origin_unreachable",
                         std::string(stream.status().message())};
    if (std::chrono::steady_clock::now() >= deadline) break;
  }
  co_return outcome;
}

}  // namespace sallyport::proxy
