#include "agent/proxy/audit/record_proto.h"

#include "common/audit/json_text.h"

namespace sallyport::proxy {

void FillRecord(const AuditRecord& record, v1::AuditRecord* message) {
  message->set_time(Rfc3339(record.time));
  message->set_request_id(record.request_id);
  message->set_container_id(record.container_id);
  message->set_class_name(record.class_name);
  message->set_scheme(std::string(record.scheme));
  message->set_host(ToUtf8(record.host));
  message->set_port(record.port);
  message->set_dialled(record.dialled);
  message->set_method(ToUtf8(record.method));
  message->set_path(ToUtf8(record.path));
  message->set_decision(std::string(record.decision));
  message->set_reason(std::string(record.reason));
  message->set_rule(ToUtf8(record.rule));
  message->set_handler(ToUtf8(record.handler));
  message->set_revision(record.revision);
  message->set_status(static_cast<uint32_t>(record.status));
  message->set_upstream(record.upstream);
  message->set_bytes_sent(record.bytes_sent);
  message->set_bytes_received(record.bytes_received);
  message->set_duration_us(static_cast<uint64_t>(record.duration_us));
  message->set_handler_us(static_cast<uint64_t>(record.handler_us));
  message->set_detail(ToUtf8(record.detail));
  message->set_would_deny(std::string(record.would_deny));
  message->set_suppressed(record.suppressed);
  message->set_lease(record.lease);
  message->set_trace_id(record.trace_id);
}

}  // namespace sallyport::proxy
