#include "agent/proxy/connect_origin.h"

#include <utility>

#include "agent/proxy/http/h1_connection.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kConnectTime{10};
// Between two pieces of an answer: events and models may be silent for long.
constexpr std::chrono::minutes kBodyPause{5};
// Requests go on to be sent over a shared connection while its origin may be gone. One that is
// there reads: what a stream may not send yet, HTTP/2 itself holds back.
constexpr std::chrono::seconds kMaxSilence{30};
// An origin that ends its HTTP/2 connections before a request can be sent is given up.
constexpr int kMaxUselessAttempts = 2;

using Clock = std::chrono::steady_clock;

struct Reached {
  std::unique_ptr<Stream> stream;
  IpAddress address;
  std::optional<Reason> would_deny;
  bool http2 = false;
};
using ReachResult = std::variant<Reached, Denial, OriginFailure>;

AddressVerdict CheckNow(const Container& container, const IpAddress& address) {
  const std::shared_ptr<const EffectivePolicy> now = container.policy();
  if (now == nullptr) return Deny{Reason::kNoPolicy, {}};
  return CheckDialledAddress(*now, address, *container.dial_context().open_ranges);
}

OriginFailure TlsFailure(const absl::Status& status) {
  const std::string detail(status.message());
  if (absl::IsUnauthenticated(status)) return OriginFailureOf("origin_certificate", detail);
  if (absl::IsDeadlineExceeded(status))
    return OriginFailureOf("origin_timeout", "the TLS handshake took too long");
  return OriginFailureOf("origin_unreachable", detail);
}

Task<ReachResult> Reach(ContainerPtr container, OriginKey key, SteadyTime deadline) {
  DialResult dialled = co_await Dial(container->dial_context(), container->policy_source(),
                                     key.host, key.port, deadline, key.within);
  if (auto* denial = std::get_if<Denial>(&dialled)) co_return std::move(*denial);
  if (auto* failed = std::get_if<DialFailed>(&dialled))
    co_return OriginFailureOf(failed->reason, std::move(failed->detail));
  auto& plain = std::get<Dialled>(dialled);
  plain.stream->UseTurns(container->turns());
  TcpStream* const socket = plain.stream.get();
  if (!key.tls) {
    const bool http2 = key.http == OriginHttp::kHttp2;
    if (http2) socket->LimitSilence(kMaxSilence);
    co_return Reached{std::move(plain.stream), plain.address, plain.would_deny, http2};
  }
  plain.stream->SetDeadline(deadline);
  const AlpnOffer offer =
      key.http == OriginHttp::kHttp1 ? AlpnOffer::kHttp1 : AlpnOffer::kHttp2AndHttp1;
  absl::StatusOr<UpstreamTls::Connected> secured =
      co_await container->upstream_tls().Connect(std::move(plain.stream), key.host, offer);
  if (!secured.ok()) co_return TlsFailure(secured.status());
  if (secured->http2) socket->LimitSilence(kMaxSilence);
  if (key.http == OriginHttp::kByAlpn) container->origins().http2.Remember(key, secured->http2);
  co_return Reached{std::move(secured->stream), plain.address, plain.would_deny, secured->http2};
}

std::unique_ptr<OriginConnection> Http1Over(Reached reached) {
  return std::make_unique<OriginConnection>(
      OriginConnection{std::make_unique<H1ClientConnection>(std::move(reached.stream), H1Limits{},
                                                            H1Timeouts{.body = kBodyPause}),
                       reached.address, /*reused=*/false, reached.would_deny});
}

void PutIntoPool(Container& container, const OriginKey& key, Reached reached) {
  // Its pools have been emptied for good.
  if (container.closed()) return;
  Origins& origins = container.origins();
  if (reached.http2) {
    origins.http2.Add(key, std::move(reached.stream), reached.address);
  } else {
    origins.http1.Put(key, Http1Over(std::move(reached)));
  }
}

// Runs beside those who wait: none of them is who it is for, and each may give up.
Task<void> RunAttempt(ContainerPtr container, OriginKey key,
                      std::shared_ptr<OriginAttempt> attempt) {
  ReachResult result = co_await Reach(container, key, Clock::now() + kConnectTime);
  if (auto* denial = std::get_if<Denial>(&result)) {
    attempt->failure = std::move(*denial);
  } else if (auto* failure = std::get_if<OriginFailure>(&result)) {
    attempt->failure = std::move(*failure);
  } else {
    PutIntoPool(*container, key, std::move(std::get<Reached>(result)));
  }
  container->origins().attempts.erase(key);
  attempt->ended.Notify();
}

// The attempt under way, or a new one.
std::shared_ptr<OriginAttempt> Attempt(const ContainerPtr& container, const OriginKey& key) {
  boost::asio::io_context& context = *container->dial_context().context;
  std::shared_ptr<OriginAttempt>& under_way = container->origins().attempts[key];
  if (under_way != nullptr) return under_way;
  const auto attempt = std::make_shared<OriginAttempt>(context);
  under_way = attempt;
  Spawn(context, RunAttempt(container, key, attempt));
  return attempt;
}

bool MaySpeakHttp2(Container& container, const OriginKey& key) {
  if (key.http != OriginHttp::kByAlpn) return key.http == OriginHttp::kHttp2;
  return container.origins().http2.SpeaksHttp2(key).value_or(true);
}

Task<OriginConnected> ConnectAlone(ContainerPtr container, OriginKey key, SteadyTime deadline) {
  ReachResult result = co_await Reach(container, key, deadline);
  if (auto* denial = std::get_if<Denial>(&result)) co_return std::move(*denial);
  if (auto* failure = std::get_if<OriginFailure>(&result)) co_return std::move(*failure);
  // Whatever was to be sent was somebody's who has gone.
  if (container->closed()) co_return Denial{Reason::kNoPolicy};
  auto& reached = std::get<Reached>(result);
  if (!reached.http2) co_return Http1Over(std::move(reached));
  // It spoke HTTP/1.1 when last asked.
  PutIntoPool(*container, key, std::move(reached));
  std::unique_ptr<OriginConnection> shared = TakePooled(*container, key, Pooled::kWelcome);
  if (shared != nullptr) co_return shared;
  co_return OriginFailureOf("origin_unreachable", "the origin takes no request");
}

Task<OriginConnected> ConnectTogether(ContainerPtr container, OriginKey key, Pooled pooled,
                                      SteadyTime deadline) {
  Http2Origins& http2 = container->origins().http2;
  int useless_attempts = 0;
  while (Clock::now() < deadline) {
    std::unique_ptr<OriginConnection> connection = TakePooled(*container, key, pooled);
    if (connection != nullptr) co_return connection;
    if (pooled == Pooled::kUnwanted) pooled = Pooled::kWelcome;
    if (!MaySpeakHttp2(*container, key)) co_return co_await ConnectAlone(container, key, deadline);
    if (http2.CountOf(key) >= Http2Origins::kMaxConnectionsPerOrigin) {
      http2.room().Reset();
      (void)co_await http2.room().Wait(deadline);
      continue;
    }
    const std::shared_ptr<OriginAttempt> attempt = Attempt(container, key);
    const absl::Status waited = co_await attempt->ended.Wait(deadline);
    if (!waited.ok()) break;
    if (attempt->failure.has_value()) {
      if (auto* denial = std::get_if<Denial>(&*attempt->failure)) co_return *denial;
      co_return std::get<OriginFailure>(*attempt->failure);
    }
    if (container->closed()) co_return Denial{Reason::kNoPolicy};
    if (http2.CountOf(key) == 0 && MaySpeakHttp2(*container, key) &&
        ++useless_attempts == kMaxUselessAttempts) {
      co_return OriginFailureOf("origin_unreachable", "the origin ends its connections at once");
    }
  }
  co_return OriginFailureOf("origin_timeout", "no connection to the origin had room in time");
}

}  // namespace

OriginFailure OriginFailureOf(std::string_view reason, std::string detail) {
  return OriginFailure{reason == "origin_timeout" ? 504 : 502, reason, std::move(detail)};
}

std::unique_ptr<OriginConnection> TakePooled(Container& container, const OriginKey& key,
                                             Pooled pooled) {
  if (pooled == Pooled::kUnwanted) return nullptr;
  const auto check = [&container](const IpAddress& address) {
    return CheckNow(container, address);
  };
  if (key.http != OriginHttp::kHttp1) {
    std::unique_ptr<OriginConnection> shared =
        container.origins().http2.Take(key, Http2Origins::Use::kRequest, check);
    if (shared != nullptr) return shared;
  }
  const OriginPool::Alive alive =
      pooled == Pooled::kWelcome ? OriginPool::Alive::kAsTold : OriginPool::Alive::kAsked;
  return container.origins().http1.Take(key, alive, check);
}

Task<OriginConnected> ConnectToOrigin(ContainerPtr container, OriginKey key, Pooled pooled) {
  const SteadyTime deadline = Clock::now() + kConnectTime;
  OriginConnected result = OriginFailure{};
  if (MaySpeakHttp2(*container, key)) {
    result = co_await ConnectTogether(container, key, pooled, deadline);
  } else {
    result = co_await ConnectAlone(container, key, deadline);
  }
  co_return result;
}

std::unique_ptr<OriginConnection> TakeForWebSocket(Container& container, const OriginKey& key) {
  return container.origins().http2.Take(
      key, Http2Origins::Use::kWebSocket,
      [&container](const IpAddress& address) { return CheckNow(container, address); });
}

Task<void> LearnOriginHttp(ContainerPtr container, OriginKey key, SteadyTime deadline) {
  const std::shared_ptr<OriginAttempt> attempt = Attempt(container, key);
  (void)co_await attempt->ended.Wait(deadline);
}

}  // namespace sallyport::proxy
