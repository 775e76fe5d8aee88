#include "agent/proxy/admission.h"

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "agent/proxy/worker.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What a connection and a request are reckoned to hold: their state, and the buffers of both
// directions when they are full.
constexpr int64_t kConnectionBytes = 16 * 1024;
constexpr int64_t kRequestBytes = 64 * 1024;

// A connection may end on another worker, which tells nobody.
constexpr milliseconds kFullPause{20};
constexpr milliseconds kOverloadedPause{200};

// Counts what is refused.
OverBudget Refuse(Container& container, Limit limit, int status) {
  container.budget().CountExceeded(limit);
  return OverBudget{limit, status};
}

// Of what a TLS handshake needs.
Task<absl::Status> AwaitTurn(Container& container, Limit rate) {
  ContainerBudget& budget = container.budget();
  // One that waits for longer leaves its client no time for the handshake itself.
  const auto longest = container.limits().Time(Limit::kHandshakeTimeoutMs) / 2;
  const auto wait = budget.rate(rate).Take(Clock::now(), longest);
  if (!wait.has_value() || wait->count() > 0) budget.CountExceeded(rate);
  if (!wait.has_value()) co_return absl::ResourceExhaustedError(ToAbsl(InfoOf(rate).name));
  if (wait->count() > 0) {
    boost::asio::steady_timer turn(container.worker().io_context(), *wait);
    co_await turn.async_wait(kUseTask);
  }
  co_return absl::OkStatus();
}

}  // namespace

std::variant<ConnectionTokens, NotYet> AdmitConnection(Container& container) {
  ContainerBudget& budget = container.budget();
  Overload& overload = container.worker().overload();
  if (overload.shedding() >= Shedding::kConnections) return NotYet{std::nullopt, kOverloadedPause};
  ConnectionTokens tokens;
  tokens.in_proxy = overload.HoldConnection();
  if (!tokens.in_proxy) return NotYet{std::nullopt, kOverloadedPause};
  tokens.connection = budget.Hold(Limit::kConnections);
  if (!tokens.connection) return NotYet{Limit::kConnections, kFullPause};
  tokens.memory = budget.Hold(Limit::kMemoryBytes, kConnectionBytes);
  if (!tokens.memory) return NotYet{Limit::kMemoryBytes, kFullPause};
  const auto wait = budget.rate(Limit::kConnectionsPerSecond).Wait(Clock::now());
  if (wait.count() > 0)
    return NotYet{Limit::kConnectionsPerSecond, std::chrono::ceil<milliseconds>(wait)};
  return tokens;
}

void TakeConnection(Container& container) {
  // Workers that find one free at once may each take it; the next waits for both.
  container.budget().rate(Limit::kConnectionsPerSecond).Take(Clock::now(), std::chrono::seconds(1));
}

std::variant<RequestTokens, OverBudget> AdmitRequest(Container& container, bool websocket) {
  ContainerBudget& budget = container.budget();
  Overload& overload = container.worker().overload();
  if (overload.shedding() >= Shedding::kRequests) {
    overload.CountRefusedRequest();
    return OverBudget{std::nullopt, 503};
  }
  RequestTokens tokens;
  tokens.request = budget.Hold(Limit::kRequests);
  if (!tokens.request) return Refuse(container, Limit::kRequests, 429);
  if (websocket) {
    tokens.websocket = budget.Hold(Limit::kWebSockets);
    if (!tokens.websocket) return Refuse(container, Limit::kWebSockets, 429);
  }
  tokens.memory = budget.Hold(Limit::kMemoryBytes, kRequestBytes);
  if (!tokens.memory) return Refuse(container, Limit::kMemoryBytes, 503);
  return tokens;
}

std::variant<Gauge::Token, OverBudget> AdmitHandlerCall(Container& container) {
  ContainerBudget& budget = container.budget();
  Gauge::Token call = budget.Hold(Limit::kHandlerCalls);
  if (!call) return Refuse(container, Limit::kHandlerCalls, 429);
  if (!budget.rate(Limit::kHandlerCallsPerSecond).Take(Clock::now()).has_value())
    return Refuse(container, Limit::kHandlerCallsPerSecond, 429);
  return call;
}

Task<absl::StatusOr<Gauge::Token>> AdmitHandshake(Container& container) {
  const absl::Status turn = co_await AwaitTurn(container, Limit::kHandshakesPerSecond);
  if (!turn.ok()) co_return turn;
  ContainerBudget& budget = container.budget();
  Gauge::Token handshake = budget.Hold(Limit::kHandshakes);
  if (!handshake) {
    budget.CountExceeded(Limit::kHandshakes);
    co_return absl::ResourceExhaustedError(ToAbsl(InfoOf(Limit::kHandshakes).name));
  }
  co_return handshake;
}

Task<absl::Status> AdmitLeaf(Container& container, const Host& name) {
  if (container.leaves().Keeps(name)) co_return absl::OkStatus();
  co_return co_await AwaitTurn(container, Limit::kLeavesPerSecond);
}

}  // namespace sallyport::proxy
