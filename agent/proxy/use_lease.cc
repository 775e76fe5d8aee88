#include "agent/proxy/use_lease.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <utility>

#include "agent/proxy/worker.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSweepTime{1};

LeaseScopeView ViewOfScope(const Exchange& exchange, const AskedBy& by,
                           const HandlerSpec& handler) {
  LeaseScopeView scope;
  scope.handler = handler.name;
  scope.registration = handler.revision;
  scope.lease_epoch = handler.lease_epoch;
  scope.rule = by.rule;
  scope.params = by.reference.params_bytes;
  scope.tls = exchange.destination.scheme == RequestScheme::kHttps;
  scope.host = exchange.destination.host.text();
  scope.port = exchange.destination.port;
  return scope;
}

LeaseScope ScopeOf(const Exchange& exchange, const AskedBy& by, const HandlerSpec& handler) {
  const LeaseScopeView view = ViewOfScope(exchange, by, handler);
  return {.handler = std::string(view.handler),
          .registration = view.registration,
          .lease_epoch = view.lease_epoch,
          .rule = std::string(view.rule),
          .params = std::string(view.params),
          .tls = view.tls,
          .host = exchange.destination.host,
          .port = view.port};
}

// Whether the container's policy and handlers of this moment would ask the same.
bool Holds(const Container& container, const LeaseScope& scope, const IpAddress& dialled) {
  const std::shared_ptr<const EffectivePolicy> policy = container.policy();
  const std::shared_ptr<const HandlerSpec> handler = container.handler(scope.handler);
  if (policy == nullptr || handler == nullptr || handler->revision != scope.registration ||
      handler->lease_epoch != scope.lease_epoch) {
    return false;
  }
  const Verdict verdict = DecideRequest(
      *policy, scope.tls ? RequestScheme::kHttps : RequestScheme::kHttp, scope.host, dialled);
  const auto* to_handler = std::get_if<ToHandler>(&verdict);
  return to_handler != nullptr && to_handler->reference->handler == scope.handler &&
         to_handler->rule.ToString() == scope.rule &&
         to_handler->reference->params_bytes == scope.params;
}

// False: no request is left for which the lease may hold.
bool Narrow(const Exchange& exchange, const std::variant<Forward, LeasedResponse>& answer,
            LeaseTerms* terms) {
  constexpr std::string_view kHead = "HEAD";
  if (exchange.head.method != kHead || !std::holds_alternative<LeasedResponse>(answer)) return true;
  const bool for_head =
      terms->methods.empty() || std::ranges::find(terms->methods, kHead) != terms->methods.end();
  terms->methods.assign(1, std::string(kHead));
  return for_head;
}

// Leases end in time although nobody asks for them.
Task<void> SweepLeases(ContainerPtr container) {
  boost::asio::steady_timer timer(container->worker().io_context());
  do {
    timer.expires_after(kSweepTime);
    co_await timer.async_wait(kUseTask);
  } while (container->leases().Sweep(Clock::now()));
}

}  // namespace

std::shared_ptr<const LeasedAnswer> FindLease(const Exchange& exchange, const AskedBy& by,
                                              const HandlerSpec& handler) {
  LeaseTable& leases = exchange.client.container->leases();
  if (leases.empty()) return nullptr;
  return leases.Use(ViewOfScope(exchange, by, handler), exchange.head.method, exchange.head.target,
                    Clock::now());
}

void GrantLease(const Exchange& exchange, const AskedBy& by, const HandlerSpec& handler,
                LeaseTerms terms, std::variant<Forward, LeasedResponse> answer) {
  const ContainerPtr& container = exchange.client.container;
  const IpAddress& dialled = exchange.client.origin.address;
  LeaseScope scope = ScopeOf(exchange, by, handler);
  if (!Holds(*container, scope, dialled) || !Narrow(exchange, answer, &terms)) return;
  container->leases().Grant(std::move(scope), dialled, std::move(terms), exchange.head.method,
                            exchange.head.target,
                            std::make_shared<const LeasedAnswer>(std::move(answer)), Clock::now());
  if (!container->leases().TakeSweeping()) return;
  Spawn(container->worker().io_context(), SweepLeases(container));
}

void DropLeases(Container& container) {
  if (container.leases().empty()) return;
  container.leases().DropUnless([&container](const LeaseScope& scope, const IpAddress& dialled) {
    return Holds(container, scope, dialled);
  });
}

}  // namespace sallyport::proxy
