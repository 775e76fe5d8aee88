#include "agent/proxy/container.h"

#include <sys/random.h>

#include <chrono>
#include <utility>

#include "agent/proxy/audit/batches.h"
#include "agent/proxy/connection_audit.h"
#include "agent/proxy/use_lease.h"
#include "agent/proxy/worker.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

uint64_t RandomNumber() {
  uint64_t value = 0;
  // Cannot fail for so few bytes once the system has started (getrandom(2)).
  (void)!getrandom(&value, sizeof(value), 0);
  return value;
}

// Nothing was reached: a container can have as many of these as it likes, at no cost to itself.
bool IsRefusal(const AuditRecord& record) {
  if (record.decision == "handler") return !record.reason.empty();
  return record.decision != "egress" && record.decision != "relay";
}

// Of the container's budget; null: there is no room in it.
std::shared_ptr<void> HoldMemory(const std::shared_ptr<ContainerBudget>& budget, size_t bytes) {
  struct Held {
    std::shared_ptr<ContainerBudget> budget;
    Gauge::Token token;
  };
  Gauge::Token token = budget->Hold(Limit::kMemoryBytes, static_cast<int64_t>(bytes));
  if (!token) return nullptr;
  return std::make_shared<Held>(Held{budget, std::move(token)});
}

}  // namespace

Container::Container(Worker* worker, Parts parts)
    : worker_(worker),
      parts_(std::move(parts)),
      turns_(TurnShare::Create(&worker->passes())),
      resolver_(std::make_unique<ContainerResolver>(worker->io_context(),
                                                    worker->dial_context().resolver, parts_.dns)),
      origins_(worker->io_context(),
               [budget = parts_.budget](size_t bytes) { return HoldMemory(budget, bytes); }),
      handlers_({&worker->io_context(), resolver_.get(), parts_.upstream_tls.get(),
                 worker->handler_sockets()},
                &worker->handler_tls(), worker->handler_stats(), parts_.budget),
      tokens_(parts_.id),
      request_prefix_(RandomNumber()) {}

std::shared_ptr<const EffectivePolicy> Container::policy() const {
  if (closed_) return nullptr;
  const auto& containers = worker_->snapshot().containers;
  const auto found = containers.find(parts_.id);
  return found == containers.end() ? nullptr : found->second;
}

PolicySource Container::policy_source() {
  return [this] { return policy(); };
}

std::shared_ptr<const HandlerSpec> Container::handler(const std::string& name) const {
  const auto& handlers = worker_->snapshot().handlers;
  const auto found = handlers.find(name);
  return found == handlers.end() ? nullptr : found->second;
}

const SecretTable& Container::secrets() const { return worker_->secrets(); }

absl::StatusOr<std::string> Container::IdentityToken(
    const std::shared_ptr<const HandlerSpec>& handler, const std::string& class_name) {
  if (!handler->identity_token.has_value()) return std::string();
  const std::shared_ptr<const TokenSigner>& signer = worker_->token_signer();
  if (signer == nullptr) {
    return absl::FailedPreconditionError(
        "the handler's calls are to bear an identity token, and the agent has given no key for it: "
        "its log says why");
  }
  return tokens_.Get(signer, handler, class_name);
}

DialContext Container::dial_context() const {
  DialContext context = worker_->dial_context();
  context.resolver = resolver_.get();
  context.budget = parts_.budget;
  return context;
}

DnsServerOptions Container::DnsOptions(const ContainerPtr& container) {
  DnsServerOptions options;
  options.container_id = container->id();
  options.policy = [container] { return container->policy(); };
  options.resolver = container->resolver_.get();
  options.dns = container->parts_.dns;
  options.open_ranges = container->dial_context().open_ranges;
  options.on_refused = [container](std::string_view name, std::string_view reason) {
    AuditRefusedQuery(*container, name, reason);
  };
  options.on_monitored = [container](std::string_view name, std::string_view would_deny) {
    AuditMonitoredQuery(*container, name, would_deny);
  };
  return options;
}

void Container::Audit(const AuditRecord& record) {
  ContainerBudget& budget = *parts_.budget;
  worker_->class_stats().Count(record);
  if (IsRefusal(record) && !budget.rate(Limit::kRefusalRecordsPerSecond)
                                .Take(std::chrono::steady_clock::now())
                                .has_value()) {
    budget.CountExceeded(Limit::kRefusalRecordsPerSecond);
    budget.CountSuppressed();
    return;
  }
  if (const uint64_t suppressed = budget.TakeSuppressed(); suppressed > 0) {
    AuditRecord counting = record;
    counting.suppressed = suppressed;
    WriteRecord(counting);
  } else {
    WriteRecord(record);
  }
}

void Container::WriteRecord(const AuditRecord& record) {
  audit_line_.clear();
  AppendJsonLine(record, &audit_line_);
  auto& batches = boost::asio::use_service<AuditBatches>(worker_->io_context());
  if (parts_.audit_file != nullptr) batches.Add(parts_.audit_file, audit_line_);
  if (parts_.audit_stream != nullptr) batches.Add(parts_.audit_stream, audit_line_);
  if (parts_.audit_tap != nullptr) parts_.audit_tap->Write(record);
}

std::string Container::NewRequestId() {
  return StrCat(absl::Hex(request_prefix_, absl::kZeroPad16), "-", absl::Hex(++next_request_));
}

void Container::OnPolicyChange() {
  const std::shared_ptr<const EffectivePolicy> now = policy();
  DropLeases(*this);
  for (ClosableConnection* connection : connections_) connection->OnPolicyChange(now.get());
  handlers_.OnPolicyChange([this](const std::string& name) { return handler(name); });
  tokens_.OnPolicyChange([this](const std::string& name) { return handler(name); });
}

void Container::Drain() {
  draining_ = true;
  for (ClosableConnection* connection : connections_) connection->OnDrain();
}

void Container::Shutdown() {
  closed_ = true;
  for (ClosableConnection* connection : connections_) connection->CloseNow();
  origins_.http1.Clear();
  origins_.http2.Clear();
  handlers_.Clear();
  parts_.leases->Clear();
}

Container::Registration::Registration(ContainerPtr container, ClosableConnection* connection)
    : container_(std::move(container)),
      position_(container_->connections_.insert(container_->connections_.end(), connection)) {}

Container::Registration::~Registration() { container_->connections_.erase(position_); }

}  // namespace sallyport::proxy
