#include "agent/proxy/handlers/health_checker.h"

#include <chrono>

#include "agent/proxy/event.h"
#include "agent/proxy/handlers/health.pb.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using Verdict = CheckedHealth::Verdict;
using std::chrono::milliseconds;

constexpr std::string_view kPath = "/grpc.health.v1.Health/Check";

absl::Status Understand(const std::string& answer, const std::string& service) {
  using internal::HealthCheckResponse;
  HealthCheckResponse response;
  if (!response.ParseFromString(answer)) return absl::InternalError("its answer is not legal");
  switch (response.status()) {
    case HealthCheckResponse::SERVING:
      return absl::OkStatus();
    case HealthCheckResponse::NOT_SERVING:
      return absl::UnavailableError("it says so");
    case HealthCheckResponse::SERVICE_UNKNOWN:
      return absl::UnavailableError(StrCat("it knows no service ", Quote(service)));
    default:
      return absl::UnavailableError("it says neither that it serves nor that it does not");
  }
}

}  // namespace

struct HealthChecker::Check {
  Check(boost::asio::io_context& context, HandlerEndpoint asked, const HandlerSpec& handler,
        HandlerTlsSource* source)
      : endpoint(std::move(asked)),
        spec(*handler.health_check),
        tls(handler.tls),
        tls_source(source),
        wake(context) {}

  const HandlerEndpoint endpoint;
  const HealthCheckSpec spec;
  const std::optional<HandlerTlsSpec> tls;
  HandlerTlsSource* const tls_source;
  std::shared_ptr<EndpointStats> stats;
  std::shared_ptr<HandlerLink> link;
  Event wake;  // It is stopped.
  bool stopped = false;
};

HealthChecker::~HealthChecker() {
  for (auto& [key, check] : checks_) Stop(*check);
}

void HealthChecker::Stop(Check& check) {
  check.stopped = true;
  check.wake.Notify();
  check.stats->checked().Set(Verdict::kMayBeCalled, "");
}

void HealthChecker::OnPolicyChange(const PolicySnapshot& policy) {
  std::map<Key, std::shared_ptr<Check>> before = std::exchange(checks_, {});
  for (const auto& [name, handler] : policy.handlers) {
    if (!handler->health_check.has_value()) continue;
    for (const HandlerEndpoint& endpoint : handler->endpoints) {
      const Key key(name, endpoint.text);
      const std::shared_ptr<EndpointStats> stats = stats_->Of(name, endpoint.text);
      const auto found = before.find(key);
      // Figures of one that was away have been forgotten.
      if (found != before.end() && found->second->spec == *handler->health_check &&
          found->second->tls == handler->tls && found->second->stats == stats) {
        checks_.insert(before.extract(found));
        continue;
      }
      auto check = std::make_shared<Check>(*dial_.context, endpoint, *handler, tls_);
      check->stats = stats;
      checks_[key] = std::move(check);
    }
  }
  for (auto& [key, check] : before) Stop(*check);
  for (auto& [key, check] : checks_) {
    if (!check->stats->checked().text().empty()) continue;
    check->stats->checked().Set(Verdict::kMayBeCalled, "unknown");
    Spawn(*dial_.context, Run(dial_, check));
  }
}

Task<void> HealthChecker::Run(EndpointDial dial, std::shared_ptr<Check> check) {
  while (!check->stopped) {
    const absl::Status status = co_await Ask(dial, check);
    if (check->stopped) break;
    if (status.ok()) {
      check->stats->checked().Set(Verdict::kMayBeCalled, "serving");
    } else {
      check->stats->checked().Set(Verdict::kMayNot,
                                  StrCat("not serving: ", ToStd(status.message())));
    }
    const absl::Status woken =
        co_await check->wake.Wait(Clock::now() + milliseconds(check->spec.interval_ms));
    woken.IgnoreError();  // It is time, or the check is stopped.
  }
  if (check->link != nullptr) check->link->Close();
}

// By the certificate of this moment.
Task<absl::Status> HealthChecker::Connect(EndpointDial dial, Check* check, SteadyTime deadline) {
  EndpointTls tls;
  if (check->tls.has_value()) {
    CO_ASSIGN_OR_RETURN(tls.context, check->tls_source->Make(*check->tls));
    tls.server_name = check->tls->server_name;
  }
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await ConnectEndpoint(dial, check->endpoint, deadline, std::move(tls));
  if (!stream.ok()) co_return stream.status();
  check->link = HandlerLink::Start(*dial.context, *std::move(stream), AuthorityOf(check->endpoint));
  co_return absl::OkStatus();
}

Task<absl::Status> HealthChecker::Ask(EndpointDial dial, std::shared_ptr<Check> check) {
  const SteadyTime deadline = Clock::now() + milliseconds(check->spec.timeout_ms);
  if (check->link == nullptr || !check->link->usable())
    CO_RETURN_IF_ERROR(co_await Connect(dial, check.get(), deadline));
  internal::HealthCheckRequest request;
  request.set_service(check->spec.service);
  const absl::StatusOr<std::string> answer =
      co_await check->link->Ask(kPath, request.SerializeAsString(), deadline);
  if (answer.ok()) co_return Understand(*answer, check->spec.service);
  // The next question has a connection that is not in doubt.
  check->link->Close();
  check->link = nullptr;
  if (absl::IsDeadlineExceeded(answer.status())) {
    co_return absl::DeadlineExceededError(
        StrCat("it did not answer in ", check->spec.timeout_ms, " ms"));
  }
  co_return answer.status();
}

}  // namespace sallyport::proxy
