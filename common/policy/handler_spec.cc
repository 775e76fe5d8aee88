#include "common/policy/handler_spec.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/normalise_builtin.h"
#include "common/policy/effective_policy.h"
#include "common/policy/normalise.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

constexpr int64_t kDefaultTimeoutMs = 30'000;
constexpr int64_t kMaxTimeoutMs = 10 * 60 * 1000;
constexpr int64_t kDefaultConnectTimeoutMs = 5'000;
constexpr int64_t kMaxConnectTimeoutMs = 60 * 1000;
constexpr uint32_t kMaxRetries = 5;
constexpr uint32_t kMaxConcurrency = 1'000'000;

// In milliseconds, 1 to `max_ms`.
absl::StatusOr<int64_t> ParseDuration(const google::protobuf::Duration& duration, int64_t max_ms) {
  const bool is_whole_ms = duration.nanos() % 1'000'000 == 0 && duration.nanos() >= 0;
  // Compared in seconds first: the product of a hostile value would overflow.
  if (is_whole_ms && duration.nanos() < 1'000'000'000 && duration.seconds() >= 0 &&
      duration.seconds() <= max_ms / 1000) {
    const int64_t ms = duration.seconds() * 1000 + duration.nanos() / 1'000'000;
    if (ms >= 1 && ms <= max_ms) return ms;
  }
  return absl::InvalidArgumentError(
      StrCat("must be whole milliseconds from 1 ms to ", max_ms / 60'000, " min"));
}

absl::StatusOr<int64_t> ParseTimeout(const v1::Handler& handler) {
  if (!handler.has_timeout()) return kDefaultTimeoutMs;
  return ParseDuration(handler.timeout(), kMaxTimeoutMs);
}

absl::StatusOr<int64_t> ParseConnectTimeout(const v1::Handler& handler) {
  if (!handler.has_connect_timeout()) return kDefaultConnectTimeoutMs;
  return ParseDuration(handler.connect_timeout(), kMaxConnectTimeoutMs);
}

// To canonical text; the first of equal ones stays.
void NormaliseEndpoints(std::string_view path, v1::Handler* handler, Problems* problems) {
  google::protobuf::RepeatedPtrField<std::string> endpoints;
  endpoints.Swap(handler->mutable_endpoints());
  if (endpoints.empty()) {
    problems->Add(
        path,
        "is empty; write one such as grpc://HOST:PORT, unix:/PATH or http://HOST:PORT, or "
        "`builtin` for what needs no service");
  }
  if (endpoints.size() > kMaxEndpoints) {
    problems->Add(path, StrCat("has more than ", kMaxEndpoints, " entries; drop some"));
    endpoints.DeleteSubrange(kMaxEndpoints, endpoints.size() - kMaxEndpoints);
  }
  absl::flat_hash_set<std::string> seen;
  std::optional<HandlerEndpoint::Protocol> protocol;
  for (int i = 0; i < endpoints.size(); ++i) {
    const absl::StatusOr<HandlerEndpoint> endpoint = HandlerEndpoint::Parse(endpoints[i]);
    if (!endpoint.ok()) {
      problems->Add(AtField(Element(path, i), endpoint.status()));
      continue;
    }
    if (!protocol.has_value()) protocol = endpoint->protocol;
    if (endpoint->protocol != *protocol) {
      problems->Add(
          Element(path, i),
          StrCat(Quote(endpoints[i]), " speaks ", ProtocolName(endpoint->protocol),
                 ", those before it speak ", ProtocolName(*protocol), "; register two handlers"));
    }
    if (seen.insert(endpoint->text).second) handler->add_endpoints(endpoint->text);
  }
}

void CheckCalls(std::string_view path, const v1::Handler& handler, Problems* problems) {
  const absl::StatusOr<int64_t> connect_timeout_ms = ParseConnectTimeout(handler);
  if (!connect_timeout_ms.ok()) {
    problems->Add(Member(path, "connect_timeout"), ToStd(connect_timeout_ms.status().message()));
  }
  if (handler.retries() > kMaxRetries) {
    problems->Add(Member(path, "retries"),
                  StrCat("is ", handler.retries(), "; write 0 to ", kMaxRetries));
  }
  if (handler.max_concurrency() > kMaxConcurrency) {
    problems->Add(Member(path, "max_concurrency"),
                  StrCat("is ", handler.max_concurrency(), "; write 1 to ", kMaxConcurrency,
                         ", or 0 for no limit"));
  }
}

void NormaliseTimeout(std::string_view path, v1::Handler* handler, Problems* problems) {
  const absl::StatusOr<int64_t> timeout_ms = ParseTimeout(*handler);
  if (timeout_ms.ok()) {
    handler->mutable_timeout()->set_seconds(*timeout_ms / 1000);
    handler->mutable_timeout()->set_nanos(static_cast<int32_t>(*timeout_ms % 1000 * 1'000'000));
  } else {
    problems->Add(Member(path, "timeout"), ToStd(timeout_ms.status().message()));
  }
}

// A handler that is no service has nothing of one.
void NormaliseBuiltinHandler(std::string_view path, v1::Handler* handler, Problems* problems) {
  if (!handler->endpoints().empty()) {
    problems->Add(Member(path, "endpoints"), "a builtin asks no service; leave out one of the two");
  }
  if (handler->has_timeout() || handler->has_connect_timeout()) {
    problems->Add(Member(path, handler->has_timeout() ? "timeout" : "connect_timeout"),
                  "a builtin waits for nobody; leave it out");
  }
  if (handler->retries() != 0 || handler->max_concurrency() != 0) {
    problems->Add(Member(path, handler->retries() != 0 ? "retries" : "max_concurrency"),
                  "a builtin makes no calls; leave it out");
  }
  if (handler->on_failure() == v1::Handler::ON_FAILURE_EGRESS) {
    problems->Add(Member(path, "on_failure"), "a builtin never fails open; write ON_FAILURE_DENY");
  }
  NormaliseBuiltin(Member(path, "builtin"), handler->mutable_builtin(), problems);
}

}  // namespace

void NormaliseHandler(std::string_view path, v1::Handler* handler, Problems* problems) {
  problems->Add(ValidateName(Member(path, "name"), handler->name()));
  if (handler->has_builtin()) {
    NormaliseBuiltinHandler(path, handler, problems);
  } else {
    NormaliseEndpoints(Member(path, "endpoints"), handler, problems);
    NormaliseTimeout(path, handler, problems);
    CheckCalls(path, *handler, problems);
  }
  switch (handler->on_failure()) {
    case v1::Handler::ON_FAILURE_UNSPECIFIED:
    case v1::Handler::ON_FAILURE_DENY:
      handler->set_on_failure(v1::Handler::ON_FAILURE_DENY);
      break;
    case v1::Handler::ON_FAILURE_EGRESS:
      if (handler->holds_secrets()) {
        problems->Add(Member(path, "on_failure"),
                      "a handler that holds secrets may not fail open; write ON_FAILURE_DENY");
      }
      break;
    default:
      problems->Add(Member(path, "on_failure"), "write ON_FAILURE_DENY or ON_FAILURE_EGRESS");
  }
}

absl::Status NormaliseHandler(v1::Handler* handler) {
  v1::Handler next = *handler;
  Problems problems;
  NormaliseHandler("", &next, &problems);
  if (problems.empty()) *handler = std::move(next);
  return problems.ToStatus();
}

absl::StatusOr<HandlerSpec> HandlerSpec::FromProto(const v1::Handler& handler, uint64_t revision) {
  v1::Handler normal = handler;
  RETURN_IF_ERROR(NormaliseHandler(&normal));
  HandlerSpec spec;
  spec.name = normal.name();
  for (const std::string& text : normal.endpoints()) {
    ASSIGN_OR_RETURN(HandlerEndpoint endpoint, HandlerEndpoint::Parse(text));
    spec.protocol = endpoint.protocol;
    spec.endpoints.push_back(std::move(endpoint));
  }
  ASSIGN_OR_RETURN(spec.timeout_ms, ParseTimeout(normal));
  if (normal.has_builtin()) {
    ASSIGN_OR_RETURN(BuiltinSpec builtin, BuiltinSpec::FromProto(normal.builtin()));
    spec.builtin = std::make_shared<const BuiltinSpec>(std::move(builtin));
  }
  ASSIGN_OR_RETURN(spec.connect_timeout_ms, ParseConnectTimeout(normal));
  spec.retries = static_cast<int>(normal.retries());
  spec.max_concurrency = normal.max_concurrency();
  spec.egress_on_failure = normal.on_failure() == v1::Handler::ON_FAILURE_EGRESS;
  spec.revision = revision;
  spec.lease_epoch = normal.lease_epoch();
  return spec;
}

}  // namespace sallyport
