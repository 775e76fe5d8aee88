#include "agent/proxy/dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "agent/proxy/event.h"
#include "agent/proxy/this_host.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// Before the next address is tried beside those that have not answered (RFC 8305 section 5).
constexpr std::chrono::milliseconds kAttemptDelay{250};
// Of one dial: whoever serves a name chooses how many addresses it has.
constexpr size_t kMaxAttempts = 16;
// Under way at once. A dial counts as one connection, whatever it tries.
constexpr int kMaxAttemptsAtOnce = 4;

// RESOURCE_EXHAUSTED: it is this host that has run out of descriptors, memory or, towards this
// address, local ports.
absl::Status ConnectError(int error, const IpAddress& address, uint16_t port) {
  const std::string text =
      StrCat("connect to ", address.ToUriString(), ":", port, ": ", std::strerror(error));
  switch (error) {
    case EADDRNOTAVAIL:
      return absl::ResourceExhaustedError(text + ", no local port is free");
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::UnavailableError(text);
  }
}

// A socket that connects.
absl::StatusOr<std::unique_ptr<TcpStream>> BeginConnect(boost::asio::io_context& context,
                                                        const IpAddress& address, uint16_t port,
                                                        SteadyTime deadline) {
  UniqueFd socket(::socket(address.is_v4() ? AF_INET : AF_INET6,
                           SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ConnectError(errno, address, port);
  const int one = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  sockaddr_storage storage;
  const socklen_t length = address.ToSockaddr(port, &storage);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 &&
      errno != EINPROGRESS) {
    return ConnectError(errno, address, port);
  }
  auto stream =
      std::make_unique<TcpStream>(context, std::move(socket), TcpStream::Socket::kConnecting);
  stream->SetDeadline(deadline);
  return stream;
}

// `stream` outlives this.
Task<absl::Status> FinishConnect(TcpStream* stream, IpAddress address, uint16_t port) {
  const absl::Status ready = co_await stream->WaitWritable();
  if (absl::IsDeadlineExceeded(ready)) {
    co_return absl::DeadlineExceededError(
        StrCat("connect to ", address.ToUriString(), ":", port, ": no answer in time"));
  }
  if (!ready.ok()) co_return ready;
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(stream->native_handle(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) co_return ConnectError(error, address, port);
  co_return absl::OkStatus();
}

struct Attempt {
  IpAddress address;
  std::shared_ptr<const EffectivePolicy> policy;
  MayDial permitted;  // By `policy`.
  std::unique_ptr<TcpStream> stream;
  std::optional<absl::Status> end;  // While it is under way: nullopt.

  bool under_way() const { return !end.has_value(); }
};

// The attempts of one dial. Outlives those that are given up, until they have noticed.
struct Race {
  explicit Race(boost::asio::io_context& context) : changed(context) {}

  // Room for one more: the one that has been silent for longest is given up.
  void MakeRoom() {
    const auto under_way = [](const auto& attempt) { return attempt->under_way(); };
    if (std::ranges::count_if(attempts, under_way) < kMaxAttemptsAtOnce) return;
    Attempt& oldest = **std::ranges::find_if(attempts, under_way);
    oldest.end = absl::DeadlineExceededError(
        StrCat("connect to ", oldest.address.ToUriString(), ": silent, and others were tried"));
    oldest.stream->Close(Stream::How::kReset);
  }

  // Ends every attempt whose stream was not taken.
  void CloseAll() {
    for (const auto& attempt : attempts) {
      if (attempt->stream != nullptr) attempt->stream->Close(Stream::How::kReset);
    }
  }

  std::vector<std::unique_ptr<Attempt>> attempts;
  Event changed;
};
using RacePtr = std::shared_ptr<Race>;

Task<void> Run(RacePtr race, Attempt* attempt, uint16_t port) {
  const absl::Status end = co_await FinishConnect(attempt->stream.get(), attempt->address, port);
  if (!attempt->under_way()) co_return;  // Given up.
  attempt->end = end;
  race->changed.Notify();
}

// The first attempt that got through. Null: all have failed, or `latest` has (null: does not
// matter), or it is `until`.
Task<Attempt*> AwaitWinner(RacePtr race, const Attempt* latest, SteadyTime until) {
  while (true) {
    bool running = false;
    for (const auto& attempt : race->attempts) {
      if (attempt->under_way()) {
        running = true;
      } else if (attempt->end->ok()) {
        co_return attempt.get();
      }
    }
    if (!running || (latest != nullptr && latest->end.has_value())) co_return nullptr;
    race->changed.Reset();
    const absl::Status waited = co_await race->changed.Wait(until);
    if (!waited.ok()) co_return nullptr;
  }
}

// What is to be said of a race that nobody has won. Our own fault first, then silence, then the
// last refusal.
DialFailed FailureOf(const Race& race, const Host& host) {
  const absl::Status none = absl::UnavailableError(StrCat(host.text(), " has no address"));
  const absl::Status silence =
      absl::DeadlineExceededError(StrCat("connect to ", host.text(), ": no answer in time"));
  absl::Status failure = none;
  for (const auto& attempt : race.attempts) {
    const absl::Status& end = attempt->end.has_value() ? *attempt->end : silence;
    if (absl::IsResourceExhausted(failure)) break;
    if (absl::IsDeadlineExceeded(failure) && !absl::IsResourceExhausted(end)) continue;
    failure = end;
  }
  std::string_view reason = "origin_unreachable";
  if (absl::IsResourceExhausted(failure)) reason = "overloaded";
  if (absl::IsDeadlineExceeded(failure)) reason = "origin_timeout";
  return DialFailed{reason, std::string(failure.message())};
}

// The policy's word on the address, and the host's: its own addresses are opened by the operator
// alone, or, where they are private, as private addresses are.
AddressVerdict CheckAddress(const EffectivePolicy& policy, const IpAddress& address,
                            const OpenRanges& open_ranges) {
  AddressVerdict verdict = CheckDialledAddress(policy, address, open_ranges);
  const bool is_opened =
      IsPrivateAddress(address) ||
      std::ranges::any_of(open_ranges, [&](const Cidr& range) { return range.Contains(address); });
  if (std::holds_alternative<MayDial>(verdict) && !is_opened && IsThisHost(address)) {
    return Deny{Reason::kForbiddenAddress, {"", "platform", nullptr, "", address}};
  }
  return verdict;
}

// `policy`: null permits nothing.
std::variant<MayDial, Denial> Check(const DialContext& context, const EffectivePolicy* policy,
                                    const IpAddress& address) {
  if (policy == nullptr) return Denial{Reason::kNoPolicy};
  const AddressVerdict verdict = CheckAddress(*policy, address, *context.open_ranges);
  if (const Deny* deny = std::get_if<Deny>(&verdict)) return ToDenial(*deny);
  return std::get<MayDial>(verdict);
}

// Tries the addresses; `race` is the caller's to clear away.
Task<DialResult> RunRace(DialContext context, PolicySource policy, Host host,
                         std::vector<IpAddress> addresses, uint16_t port, SteadyTime deadline,
                         RacePtr race) {
  std::optional<Denial> first_denial;
  Attempt* winner = nullptr;
  for (const IpAddress& address : addresses) {
    if (race->attempts.size() == kMaxAttempts) break;
    std::shared_ptr<const EffectivePolicy> now = policy();
    std::variant<MayDial, Denial> may = Check(context, now.get(), address);
    if (auto* denial = std::get_if<Denial>(&may)) {
      if (!first_denial.has_value()) first_denial = std::move(*denial);
      continue;
    }
    race->MakeRoom();
    Attempt* const attempt = race->attempts.emplace_back(std::make_unique<Attempt>()).get();
    attempt->address = address;
    attempt->policy = std::move(now);
    attempt->permitted = std::get<MayDial>(may);
    absl::StatusOr<std::unique_ptr<TcpStream>> begun =
        BeginConnect(*context.context, address, port, deadline);
    if (begun.ok()) {
      attempt->stream = *std::move(begun);
      Spawn(*context.context, Run(race, attempt, port));
    } else {
      attempt->end = begun.status();
    }
    winner = co_await AwaitWinner(
        race, attempt, std::min(deadline, std::chrono::steady_clock::now() + kAttemptDelay));
    if (winner != nullptr || std::chrono::steady_clock::now() >= deadline) break;
  }
  if (winner == nullptr) winner = co_await AwaitWinner(race, nullptr, deadline);
  if (winner == nullptr) {
    // A failed attempt says more than the refusal of another address.
    if (race->attempts.empty() && first_denial.has_value()) co_return *std::move(first_denial);
    co_return FailureOf(*race, host);
  }
  // The policy may have turned against the address while it was being connected to.
  const std::shared_ptr<const EffectivePolicy> now = policy();
  std::variant<MayDial, Denial> still = winner->permitted;
  if (now != winner->policy) still = Check(context, now.get(), winner->address);
  if (auto* denial = std::get_if<Denial>(&still)) co_return std::move(*denial);
  co_return Dialled{std::move(winner->stream), winner->address,
                    std::get<MayDial>(still).would_deny};
}

// Of a name that has no addresses: the container's DNS budget is for its egress, too.
std::string_view UnresolvedReason(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return "origin_timeout";
  if (absl::IsPermissionDenied(status)) return "dns_tunnel";
  if (absl::IsResourceExhausted(status)) return "overloaded";
  return "origin_unreachable";
}

DialFailed OverBudgetBy(ContainerBudget& budget, Limit limit) {
  budget.CountExceeded(limit);
  return DialFailed{"over_budget", std::string(InfoOf(limit).name)};
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectTo(boost::asio::io_context* context,
                                                           IpAddress address, uint16_t port,
                                                           SteadyTime deadline) {
  absl::StatusOr<std::unique_ptr<TcpStream>> stream =
      BeginConnect(*context, address, port, deadline);
  if (!stream.ok()) co_return stream.status();
  const absl::Status connected = co_await FinishConnect(stream->get(), address, port);
  if (!connected.ok()) co_return connected;
  co_return stream;
}

Task<DialResult> Dial(DialContext context, PolicySource policy, Host host, uint16_t port,
                      SteadyTime deadline, std::optional<Cidr> within) {
  Gauge::Token connection;
  Gauge::Token dial;
  if (context.budget != nullptr) {
    connection = context.budget->Hold(Limit::kOriginConnections);
    if (!connection) co_return OverBudgetBy(*context.budget, Limit::kOriginConnections);
    dial = context.budget->Hold(Limit::kDials);
    if (!dial) co_return OverBudgetBy(*context.budget, Limit::kDials);
  }
  absl::StatusOr<std::vector<IpAddress>> addresses = co_await context.resolver->Resolve(host);
  if (!addresses.ok()) {
    co_return DialFailed{UnresolvedReason(addresses.status()),
                         std::string(addresses.status().message())};
  }
  if (within.has_value()) {
    std::erase_if(*addresses, [&](const IpAddress& one) { return !within->Contains(one); });
    if (addresses->empty()) {
      co_return Denial{Reason::kForbiddenAddress, StrCat("the address dialled: ", host.text(),
                                                         " has none in ", within->ToString())};
    }
  }
  const auto race = std::make_shared<Race>(*context.context);
  DialResult result = co_await RunRace(context, std::move(policy), std::move(host),
                                       *std::move(addresses), port, deadline, race);
  race->CloseAll();
  if (auto* dialled = std::get_if<Dialled>(&result))
    dialled->stream->Keep(std::move(connection), context.budget);
  co_return result;
}

}  // namespace sallyport::proxy
