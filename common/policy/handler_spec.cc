#include "common/policy/handler_spec.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/normalise_builtin.h"
#include "common/policy/duration.h"
#include "common/policy/effective_policy.h"
#include "common/policy/live_endpoint.h"
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

absl::StatusOr<int64_t> ParseTimeout(const v1::Handler& handler) {
  if (!handler.has_timeout()) return kDefaultTimeoutMs;
  return ParseMilliseconds(handler.timeout(), 1, kMaxTimeoutMs);
}

absl::StatusOr<int64_t> ParseConnectTimeout(const v1::Handler& handler) {
  if (!handler.has_connect_timeout()) return kDefaultConnectTimeoutMs;
  return ParseMilliseconds(handler.connect_timeout(), 1, kMaxConnectTimeoutMs);
}

// To canonical text; the first of equal ones stays. None at all: services register themselves.
void NormaliseEndpoints(std::string_view path, v1::Handler* handler, Problems* problems) {
  google::protobuf::RepeatedPtrField<std::string> endpoints;
  endpoints.Swap(handler->mutable_endpoints());
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
    SetMilliseconds(*timeout_ms, handler->mutable_timeout());
  } else {
    problems->Add(Member(path, "timeout"), ToStd(timeout_ms.status().message()));
  }
}

void CheckHealth(std::string_view path, v1::Handler* handler, Problems* problems) {
  if (!handler->has_health_check()) return;
  const std::string at = Member(path, "health_check");
  NormaliseHealthCheck(at, handler->mutable_health_check(), problems);
  if (handler->endpoints().empty()) return;
  const absl::StatusOr<HandlerEndpoint> endpoint = HandlerEndpoint::Parse(handler->endpoints(0));
  if (endpoint.ok() && endpoint->protocol != HandlerEndpoint::Protocol::kGrpc) {
    problems->Add(at, StrCat("is for gRPC (grpc.health.v1), and ", Quote(endpoint->text),
                             " is a web server; leave it out"));
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
  if (handler->has_health_check()) {
    problems->Add(Member(path, "health_check"), "a builtin asks no service; leave it out");
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
    CheckHealth(path, handler, problems);
  }
  NormaliseHandlerTls(path, handler, problems);
  CheckIdentityToken(path, *handler, problems);
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

namespace {

absl::Status AddEndpoints(const v1::Handler& handler, HandlerSpec* spec) {
  const auto add = [spec](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(HandlerEndpoint endpoint, HandlerEndpoint::Parse(text));
    spec->protocol = endpoint.protocol;
    spec->endpoints.push_back(std::move(endpoint));
    return absl::OkStatus();
  };
  for (const std::string& text : handler.endpoints()) RETURN_IF_ERROR(add(text));
  RETURN_IF_ERROR(CheckLiveEndpoints(handler));
  for (const v1::LiveEndpoint& live : handler.live_endpoints()) {
    // One that the operator registered stays, whatever a service says of it.
    if (std::ranges::find(handler.endpoints(), live.endpoint()) != handler.endpoints().end())
      continue;
    if (live.draining()) {
      spec->draining.push_back(live.endpoint());
    } else {
      RETURN_IF_ERROR(add(live.endpoint()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HandlerSpec> HandlerSpec::FromProto(const v1::Handler& handler, uint64_t revision) {
  v1::Handler normal = handler;
  RETURN_IF_ERROR(NormaliseHandler(&normal));
  HandlerSpec spec;
  spec.name = normal.name();
  RETURN_IF_ERROR(AddEndpoints(normal, &spec));
  ASSIGN_OR_RETURN(spec.timeout_ms, ParseTimeout(normal));
  if (normal.has_builtin()) {
    ASSIGN_OR_RETURN(BuiltinSpec builtin, BuiltinSpec::FromProto(normal.builtin()));
    spec.builtin = std::make_shared<const BuiltinSpec>(std::move(builtin));
  }
  ASSIGN_OR_RETURN(spec.connect_timeout_ms, ParseConnectTimeout(normal));
  if (normal.has_health_check()) {
    ASSIGN_OR_RETURN(spec.health_check, HealthCheckSpec::FromProto(normal.health_check()));
  }
  spec.retries = static_cast<int>(normal.retries());
  spec.max_concurrency = normal.max_concurrency();
  spec.egress_on_failure = normal.on_failure() == v1::Handler::ON_FAILURE_EGRESS;
  spec.revision = revision;
  if (normal.has_tls()) spec.tls = TlsSpecOf(normal.tls());
  if (normal.has_identity_token()) spec.identity_token = TokenSpecOf(normal);
  spec.lease_epoch = normal.lease_epoch();
  return spec;
}

}  // namespace sallyport
