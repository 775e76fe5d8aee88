#include "agent/proxy/connection_audit.h"

namespace sallyport::proxy {

AuditRecord ConnectionRecord(Container& container, const Origin& origin, std::string_view scheme) {
  AuditRecord record;
  record.time = std::chrono::system_clock::now();
  record.request_id = container.NewRequestId();
  record.container_id = container.id();
  record.scheme = scheme;
  record.port = origin.port;
  record.dialled = DialledText(origin);
  if (const std::shared_ptr<const EffectivePolicy> policy = container.policy(); policy != nullptr) {
    record.class_name = policy->class_name;
    record.revision = policy->revision;
  }
  return record;
}

namespace {

AuditRecord QueryRecord(Container& container, std::string_view name) {
  AuditRecord record = ConnectionRecord(container, Origin{IpAddress(), 53}, "dns");
  record.dialled.clear();
  record.host = std::string(name);
  return record;
}

}  // namespace

void AuditRefusedQuery(Container& container, std::string_view name, std::string_view reason) {
  AuditRecord record = QueryRecord(container, name);
  record.decision = "deny";
  record.reason = reason;
  container.Audit(record);
}

void AuditMonitoredQuery(Container& container, std::string_view name, std::string_view would_deny) {
  AuditRecord record = QueryRecord(container, name);
  record.decision = "egress";
  record.rule = "class monitor";
  record.would_deny = would_deny;
  container.Audit(record);
}

}  // namespace sallyport::proxy
