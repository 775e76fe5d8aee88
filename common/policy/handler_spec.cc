#include "common/policy/handler_spec.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/normalise_builtin.h"
#include "common/net/host.h"
#include "common/policy/effective_policy.h"
#include "common/policy/normalise.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

constexpr std::string_view kGrpcScheme = "grpc://";
constexpr int64_t kDefaultTimeoutMs = 30'000;
constexpr int64_t kMaxTimeoutMs = 10 * 60 * 1000;

absl::StatusOr<Authority> ParseEndpoint(std::string_view path, std::string_view endpoint) {
  if (!absl::StartsWithIgnoreCase(ToAbsl(endpoint), ToAbsl(kGrpcScheme))) {
    return InvalidField(path,
                        StrCat(Quote(endpoint), " is not of a known form; write grpc://HOST:PORT"));
  }
  const absl::StatusOr<Authority> authority = Authority::Parse(endpoint.substr(kGrpcScheme.size()));
  if (!authority.ok()) return AtField(path, authority.status());
  if (!authority->port.has_value()) {
    return InvalidField(path, StrCat(Quote(endpoint), " has no port; write grpc://HOST:PORT"));
  }
  return authority;
}

absl::StatusOr<int64_t> ParseTimeout(const v1::Handler& handler) {
  if (!handler.has_timeout()) return kDefaultTimeoutMs;
  const google::protobuf::Duration& timeout = handler.timeout();
  const bool is_whole_ms = timeout.nanos() % 1'000'000 == 0 && timeout.nanos() >= 0;
  // Compared in seconds first: the product of a hostile value would overflow.
  if (is_whole_ms && timeout.nanos() < 1'000'000'000 && timeout.seconds() >= 0 &&
      timeout.seconds() <= kMaxTimeoutMs / 1000) {
    const int64_t ms = timeout.seconds() * 1000 + timeout.nanos() / 1'000'000;
    if (ms >= 1 && ms <= kMaxTimeoutMs) return ms;
  }
  return absl::InvalidArgumentError("must be whole milliseconds from 1 ms to 10 min");
}

void NormaliseEndpoints(std::string_view path, v1::Handler* handler, Problems* problems) {
  const std::string of_endpoints = Member(path, "endpoints");
  google::protobuf::RepeatedPtrField<std::string> endpoints;
  endpoints.Swap(handler->mutable_endpoints());
  if (endpoints.empty()) {
    problems->Add(of_endpoints,
                  "is empty; write grpc://HOST:PORT, or `builtin` for what needs no service");
  }
  if (endpoints.size() > kMaxEndpoints) {
    problems->Add(of_endpoints, StrCat("has more than ", kMaxEndpoints, " entries; drop some"));
    endpoints.DeleteSubrange(kMaxEndpoints, endpoints.size() - kMaxEndpoints);
  }
  absl::flat_hash_set<std::string> seen;
  for (int i = 0; i < endpoints.size(); ++i) {
    const absl::StatusOr<Authority> authority =
        ParseEndpoint(Element(of_endpoints, i), endpoints[i]);
    problems->Add(authority.status());
    if (!authority.ok()) continue;
    const std::string canonical = StrCat(kGrpcScheme, authority->ToString(0));
    if (seen.insert(canonical).second) handler->add_endpoints(canonical);
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
  if (handler->has_timeout()) {
    problems->Add(Member(path, "timeout"), "a builtin waits for nobody; leave it out");
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
    NormaliseEndpoints(path, handler, problems);
    NormaliseTimeout(path, handler, problems);
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
  for (int i = 0; i < normal.endpoints_size(); ++i) {
    ASSIGN_OR_RETURN(const Authority authority,
                     ParseEndpoint(Element("endpoints", i), normal.endpoints(i)));
    spec.endpoints.push_back({authority.host.text(), *authority.port});
  }
  ASSIGN_OR_RETURN(spec.timeout_ms, ParseTimeout(normal));
  if (normal.has_builtin()) {
    ASSIGN_OR_RETURN(BuiltinSpec builtin, BuiltinSpec::FromProto(normal.builtin()));
    spec.builtin = std::make_shared<const BuiltinSpec>(std::move(builtin));
  }
  spec.egress_on_failure = normal.on_failure() == v1::Handler::ON_FAILURE_EGRESS;
  spec.revision = revision;
  spec.lease_epoch = normal.lease_epoch();
  return spec;
}

}  // namespace sallyport
