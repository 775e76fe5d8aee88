#include "common/policy/health_check_spec.h"

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/duration.h"

namespace sallyport {
namespace {

constexpr size_t kMaxServiceBytes = 255;
constexpr int64_t kMinIntervalMs = 100;
constexpr int64_t kMaxIntervalMs = 10 * 60 * 1000;
constexpr int64_t kMaxTimeoutMs = 60 * 1000;

absl::StatusOr<int64_t> ParseInterval(const v1::HealthCheck& check) {
  if (!check.has_interval()) return HealthCheckSpec().interval_ms;
  return ParseMilliseconds(check.interval(), kMinIntervalMs, kMaxIntervalMs);
}

absl::StatusOr<int64_t> ParseTimeout(const v1::HealthCheck& check) {
  if (!check.has_timeout()) return HealthCheckSpec().timeout_ms;
  return ParseMilliseconds(check.timeout(), 1, kMaxTimeoutMs);
}

}  // namespace

absl::StatusOr<HealthCheckSpec> HealthCheckSpec::FromProto(const v1::HealthCheck& check) {
  HealthCheckSpec spec;
  spec.service = check.service();
  ASSIGN_OR_RETURN(spec.interval_ms, ParseInterval(check));
  ASSIGN_OR_RETURN(spec.timeout_ms, ParseTimeout(check));
  return spec;
}

void NormaliseHealthCheck(std::string_view path, v1::HealthCheck* check, Problems* problems) {
  if (check->service().size() > kMaxServiceBytes) {
    problems->Add(Member(path, "service"), StrCat("has more than ", kMaxServiceBytes,
                                                  " bytes; write a gRPC service's name, "
                                                  "or nothing for the server as a whole"));
  }
  const absl::StatusOr<int64_t> interval_ms = ParseInterval(*check);
  const absl::StatusOr<int64_t> timeout_ms = ParseTimeout(*check);
  if (interval_ms.ok()) {
    SetMilliseconds(*interval_ms, check->mutable_interval());
  } else {
    problems->Add(Member(path, "interval"), ToStd(interval_ms.status().message()));
  }
  if (timeout_ms.ok()) {
    SetMilliseconds(*timeout_ms, check->mutable_timeout());
  } else {
    problems->Add(Member(path, "timeout"), ToStd(timeout_ms.status().message()));
  }
}

}  // namespace sallyport
