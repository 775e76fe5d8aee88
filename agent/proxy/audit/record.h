// One decision, as recorded. Fields and their meaning: proto/sallyport/v1/audit.proto.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_RECORD_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_RECORD_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::proxy {

struct AuditRecord {
  std::chrono::system_clock::time_point time;
  std::string request_id;
  std::string container_id;
  std::string class_name;
  std::string_view scheme;
  std::string host;
  uint16_t port = 0;
  std::string dialled;
  std::string method;
  std::string path;
  std::string_view decision;
  std::string_view reason;
  std::string rule;
  std::string handler;
  uint64_t revision = 0;
  int status = 0;
  std::string upstream;
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  int64_t duration_us = 0;
  int64_t handler_us = 0;
  bool lease = false;
  std::string detail;
  std::string_view would_deny;
  uint64_t suppressed = 0;
  std::string trace_id;
};

// RFC 3339, UTC, milliseconds.
std::string Rfc3339(std::chrono::system_clock::time_point time);

// Appends the record as one line of JSON, its end of line included. Empty, zero and false fields
// are left out. Bytes that are not UTF-8 become U+FFFD, and control characters are escaped, so that
// no record can pass for two.
void AppendJsonLine(const AuditRecord& record, std::string* out);

// The part of a request target before its query, at most 1,024 bytes.
std::string_view AuditPath(std::string_view target);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_RECORD_H_
