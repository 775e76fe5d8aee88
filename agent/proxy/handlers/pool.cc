#include "agent/proxy/handlers/pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using EndpointPtr = std::shared_ptr<PooledEndpoint>;

// A server may wait long for a person, or a model, between two pieces.
constexpr std::chrono::minutes kBodyPause{5};
// About what a record says of endpoints that are not healthy.
constexpr size_t kMaxReasonBytes = 500;

void DropLongIdle(PooledEndpoint& endpoint) {
  const SteadyTime oldest = Clock::now() - HandlerPool::kMaxIdleTime;
  while (!endpoint.idle.empty() && endpoint.idle.front().since < oldest) endpoint.idle.pop_front();
}

// Null: none is alive.
std::unique_ptr<H1ClientConnection> TakeIdle(PooledEndpoint& endpoint) {
  DropLongIdle(endpoint);
  while (!endpoint.idle.empty()) {
    std::unique_ptr<H1ClientConnection> connection = std::move(endpoint.idle.back().connection);
    endpoint.idle.pop_back();
    if (connection->StillIdle()) return connection;
  }
  return nullptr;
}

// False: there is none that can be used at once.
bool TakeKept(PooledEndpoint& endpoint, HandlerPool::Idle idle, HandlerConnection* connection) {
  if (endpoint.endpoint.protocol == HandlerEndpoint::Protocol::kGrpc) {
    if (endpoint.link == nullptr || !endpoint.link->usable()) return false;
    connection->link = endpoint.link;
    return true;
  }
  if (idle == HandlerPool::Idle::kWelcome) connection->http = TakeIdle(endpoint);
  connection->reused = connection->http != nullptr;
  return connection->reused;
}

bool MayBeCalled(const EndpointPtr& endpoint) { return endpoint->stats->checked().may_be_called(); }

// Why there is none to be asked.
absl::Status NoneToAsk(const HandlerPool::Endpoints& endpoints) {
  if (endpoints.empty()) {
    return absl::UnavailableError(
        "the handler has no endpoint now: no service has registered itself with it");
  }
  std::string why = "no endpoint is healthy";
  for (const EndpointPtr& endpoint : endpoints) {
    if (why.size() > kMaxReasonBytes) break;
    why += StrCat("; ", endpoint->endpoint.text, " is ", endpoint->stats->checked().text());
  }
  return absl::UnavailableError(why);
}

void Use(boost::asio::io_context& context, PooledEndpoint& endpoint, std::unique_ptr<Stream> stream,
         HandlerConnection* connection) {
  if (endpoint.endpoint.protocol == HandlerEndpoint::Protocol::kHttp) {
    connection->http = std::make_unique<H1ClientConnection>(std::move(stream), H1Limits{},
                                                            H1Timeouts{.body = kBodyPause});
    return;
  }
  connection->link = HandlerLink::Start(context, std::move(stream), AuthorityOf(endpoint.endpoint));
  // Another request may have connected meanwhile: theirs is kept, and used.
  if (endpoint.link == nullptr || !endpoint.link->usable()) endpoint.link = connection->link;
  connection->link = endpoint.link;
}

}  // namespace

EndpointCall::EndpointCall(EndpointPtr endpoint, Gauge::Token concurrency)
    : endpoint_(std::move(endpoint)), concurrency_(std::move(concurrency)), start_(Clock::now()) {
  endpoint_->stats->Begin();
}

EndpointCall& EndpointCall::operator=(EndpointCall&& other) noexcept {
  Release();
  endpoint_ = std::move(other.endpoint_);
  concurrency_ = std::move(other.concurrency_);
  start_ = other.start_;
  return *this;
}

void EndpointCall::Answered() {
  if (endpoint_ == nullptr) return;
  endpoint_->health.Answered();
  endpoint_->stats->Answered(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start_));
}

void EndpointCall::Failed() {
  if (endpoint_ == nullptr) return;
  endpoint_->stats->Failed();
  if (endpoint_->health.Failed(Clock::now())) endpoint_->stats->Ejected();
}

void EndpointCall::Release() {
  if (endpoint_ != nullptr) endpoint_->stats->End();
  endpoint_ = nullptr;
  concurrency_.Release();
}

HandlerPool::HandlerPool(EndpointDial dial, HandlerTlsSource* tls,
                         std::shared_ptr<HandlerStats> stats,
                         std::shared_ptr<ContainerBudget> budget)
    : dial_(std::move(dial)), tls_(tls), stats_(std::move(stats)), budget_(std::move(budget)) {}

HandlerPool::Known& HandlerPool::Learn(const std::shared_ptr<const HandlerSpec>& handler) {
  Known& known = known_[handler->name];
  if (known.spec == handler) return known;
  Endpoints before = std::move(known.endpoints);
  known.endpoints.clear();
  if (known.spec != nullptr && known.spec->tls != handler->tls) {
    before.clear();
    known.tls = {};
    known.certificate = nullptr;
  }
  for (const HandlerEndpoint& endpoint : handler->endpoints) {
    const auto kept = std::ranges::find_if(
        before, [&](const EndpointPtr& one) { return one->endpoint.text == endpoint.text; });
    known.endpoints.push_back(kept != before.end() ? *kept : std::make_shared<PooledEndpoint>());
    known.endpoints.back()->endpoint = endpoint;
    // Those of an endpoint that was away have been forgotten.
    known.endpoints.back()->stats = stats_->Of(handler->name, endpoint.text);
  }
  known.spec = handler;
  return known;
}

void HandlerPool::LetGoOfTls(Known& known) {
  known.tls = {};
  known.certificate = nullptr;
  for (EndpointPtr& endpoint : known.endpoints) {
    auto fresh = std::make_shared<PooledEndpoint>();
    fresh->endpoint = endpoint->endpoint;
    fresh->stats = endpoint->stats;
    endpoint = std::move(fresh);
  }
}

absl::StatusOr<EndpointTls> HandlerPool::TlsOf(Known& known) {
  const std::optional<HandlerTlsSpec>& spec = known.spec->tls;
  if (!spec.has_value()) return EndpointTls{};
  if (known.tls.context == nullptr) {
    ASSIGN_OR_RETURN(known.tls.context, tls_->Make(*spec));
    known.tls.server_name = spec->server_name;
    known.certificate = tls_->CertificateFor(*spec);
  }
  return known.tls;
}

HandlerPool::Endpoints HandlerPool::OrderOf(const Known& known, const Endpoints& tried) {
  Endpoints healthy;
  std::ranges::copy_if(known.endpoints, std::back_inserter(healthy), MayBeCalled);
  if (healthy.size() <= 1) return healthy;
  std::vector<EndpointCandidate> candidates;
  for (const EndpointPtr& endpoint : healthy) {
    candidates.push_back({endpoint->stats->in_flight(), endpoint->health.ejected_until(),
                          std::ranges::find(tried, endpoint) != tried.end()});
  }
  Endpoints order;
  for (const size_t index : OrderToTry(candidates, turn_++, Clock::now()))
    order.push_back(healthy[index]);
  return order;
}

Task<absl::StatusOr<HandlerConnection>> HandlerPool::Get(std::shared_ptr<const HandlerSpec> handler,
                                                         SteadyTime deadline, Endpoints tried,
                                                         Idle idle) {
  Gauge::Token concurrency;
  if (handler->max_concurrency > 0) {
    concurrency = budget_->HandlerCalls(handler->name).Hold(1, handler->max_concurrency);
    if (!concurrency) {
      co_return absl::ResourceExhaustedError(StrCat("the container has ", handler->max_concurrency,
                                                    " calls in flight, as many as the handler "
                                                    "takes (max_concurrency)"));
    }
  }
  Known& known = Learn(handler);
  CO_ASSIGN_OR_RETURN(const EndpointTls tls, TlsOf(known));
  const Endpoints order = OrderOf(known, tried);
  absl::Status last = order.empty() ? NoneToAsk(known.endpoints) : absl::OkStatus();
  for (const EndpointPtr& endpoint : order) {
    HandlerConnection connection;
    connection.call = EndpointCall(endpoint, std::move(concurrency));
    if (TakeKept(*endpoint, idle, &connection)) co_return std::move(connection);
    const SteadyTime patience =
        std::min(deadline, Clock::now() + std::chrono::milliseconds(handler->connect_timeout_ms));
    absl::StatusOr<std::unique_ptr<Stream>> stream =
        co_await ConnectEndpoint(dial_, endpoint->endpoint, patience, tls);
    if (stream.ok()) {
      Use(*dial_.context, *endpoint, *std::move(stream), &connection);
      co_return std::move(connection);
    }
    connection.call.Failed();
    concurrency = connection.call.TakeConcurrency();
    last = stream.status();
    if (Clock::now() >= deadline) break;
  }
  // One that did not accept in its time is no late answer.
  if (absl::IsDeadlineExceeded(last) && Clock::now() < deadline)
    last = absl::UnavailableError(last.message());
  co_return last;
}

void HandlerPool::Put(const EndpointPtr& endpoint, std::unique_ptr<H1ClientConnection> connection) {
  DropLongIdle(*endpoint);
  if (endpoint->idle.size() >= kMaxIdle) endpoint->idle.pop_front();
  endpoint->idle.push_back({std::move(connection), Clock::now()});
}

void HandlerPool::OnPolicyChange(Registry registry) {
  for (auto at = known_.begin(); at != known_.end();) {
    const auto here = at++;
    const std::shared_ptr<const HandlerSpec> now = registry(here->first);
    if (now == nullptr) {
      known_.erase(here);
    } else if (now != here->second.spec) {
      Learn(now);
    }
  }
}

void HandlerPool::OnCertificateChange() {
  for (auto& [name, known] : known_) {
    const std::optional<HandlerTlsSpec>& spec = known.spec->tls;
    if (spec.has_value() && known.tls.context != nullptr &&
        known.certificate != tls_->CertificateFor(*spec)) {
      LetGoOfTls(known);
    }
  }
}

void HandlerPool::Clear() {
  for (auto& [name, known] : known_) {
    for (const EndpointPtr& endpoint : known.endpoints) {
      if (endpoint->link != nullptr) endpoint->link->Close();
      endpoint->idle.clear();
    }
  }
  known_.clear();
}

}  // namespace sallyport::proxy
