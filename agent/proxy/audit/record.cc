#include "agent/proxy/audit/record.h"

#include <chrono>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/audit/json_text.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kMaxPathBytes = 1024;

class ObjectWriter {
 public:
  explicit ObjectWriter(std::string* out) : out_(out) {}

  void Text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    Key(key);
    out_->push_back('"');
    AppendJsonText(value, out_);
    out_->push_back('"');
  }
  void Number(std::string_view key, uint64_t value) {
    if (value == 0) return;
    Key(key);
    absl::StrAppend(out_, value);
  }
  void Flag(std::string_view key, bool value) {
    if (!value) return;
    Key(key);
    out_->append("true");
  }

 private:
  void Key(std::string_view key) {
    out_->append(first_ ? "{\"" : ",\"").append(key).append("\":");
    first_ = false;
  }

  std::string* const out_;
  bool first_ = true;
};

// So many digits, in the place of what stands at `at`.
void PutDigits(int64_t value, size_t digits, char* at) {
  for (size_t i = digits; i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

// Nine times as fast as gmtime_r and a format, which counts for one in each record.
std::string Rfc3339(std::chrono::system_clock::time_point time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::milliseconds>(time - day));
  std::string text = "0000-00-00T00:00:00.000Z";
  PutDigits(static_cast<int>(date.year()), 4, &text[0]);
  PutDigits(static_cast<unsigned>(date.month()), 2, &text[5]);
  PutDigits(static_cast<unsigned>(date.day()), 2, &text[8]);
  PutDigits(clock.hours().count(), 2, &text[11]);
  PutDigits(clock.minutes().count(), 2, &text[14]);
  PutDigits(clock.seconds().count(), 2, &text[17]);
  PutDigits(clock.subseconds().count(), 3, &text[20]);
  return text;
}

void AppendJsonLine(const AuditRecord& record, std::string* out) {
  ObjectWriter writer(out);
  writer.Text("time", Rfc3339(record.time));
  writer.Text("requestId", record.request_id);
  writer.Text("containerId", record.container_id);
  writer.Text("className", record.class_name);
  writer.Text("scheme", record.scheme);
  writer.Text("host", record.host);
  writer.Number("port", record.port);
  writer.Text("dialled", record.dialled);
  writer.Text("method", record.method);
  writer.Text("path", record.path);
  writer.Text("decision", record.decision);
  writer.Text("reason", record.reason);
  writer.Text("rule", record.rule);
  writer.Text("handler", record.handler);
  writer.Number("revision", record.revision);
  writer.Number("status", static_cast<uint64_t>(record.status));
  writer.Text("upstream", record.upstream);
  writer.Number("bytesSent", record.bytes_sent);
  writer.Number("bytesReceived", record.bytes_received);
  writer.Number("durationUs", static_cast<uint64_t>(record.duration_us));
  writer.Number("handlerUs", static_cast<uint64_t>(record.handler_us));
  writer.Flag("lease", record.lease);
  writer.Text("detail", record.detail);
  writer.Text("wouldDeny", record.would_deny);
  writer.Number("suppressed", record.suppressed);
  writer.Text("traceId", record.trace_id);
  out->append("}\n");
}

std::string_view AuditPath(std::string_view target) {
  return target.substr(0, target.find('?')).substr(0, kMaxPathBytes);
}

}  // namespace sallyport::proxy
