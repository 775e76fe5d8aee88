#include "controlplane/explain.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/evaluate.h"
#include "common/policy/explain.h"
#include "common/policy/validate.h"
#include "controlplane/attachments.h"
#include "controlplane/container_status.h"
#include "controlplane/policy_service.h"
#include "controlplane/unary.h"

namespace sallyport {
namespace {

constexpr size_t kMaxUrlBytes = 8192;
constexpr int kMaxResolved = 256;

absl::Status BadUrl(std::string_view url, std::string_view problem) {
  return InvalidField("url", StrCat(Quote(url), " ", problem));
}

absl::StatusOr<ExplainQuery::Scheme> SchemeOf(std::string_view url, std::string_view* rest) {
  using enum ExplainQuery::Scheme;
  for (const auto& [prefix, scheme] :
       {std::pair<std::string_view, ExplainQuery::Scheme>{"http://", kHttp},
        {"https://", kHttps},
        {"tcp://", kTcp}}) {
    if (!url.starts_with(prefix)) continue;
    *rest = url.substr(prefix.size());
    return scheme;
  }
  return BadUrl(url,
                "has no scheme that is known; write http://HOST/, https://HOST/ or "
                "tcp://ADDRESS:PORT");
}

// The host is parsed as that of a container's request is.
absl::StatusOr<ExplainQuery> ParseUrl(std::string_view url) {
  if (url.empty()) return BadUrl(url, "is empty; write one, as https://api.example.com/");
  if (url.size() > kMaxUrlBytes) return InvalidField("url", "is longer than 8 KiB");
  const auto is_strange = [](unsigned char c) { return c <= 0x20 || c >= 0x7f; };
  if (std::any_of(url.begin(), url.end(), is_strange)) {
    return BadUrl(url,
                  "has white space, control or non-ASCII bytes; write them percent-encoded, "
                  "and a Unicode host as punycode");
  }
  if (url.find('#') != std::string_view::npos) {
    return BadUrl(url, "has a fragment, which no request carries; leave out `#` and what follows");
  }
  ExplainQuery query;
  std::string_view rest;
  ASSIGN_OR_RETURN(query.scheme, SchemeOf(url, &rest));
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  const std::string_view path = rest.substr(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    return BadUrl(url, "has user info, which no request carries; leave out what is before `@`");
  }
  absl::StatusOr<Authority> parsed = Authority::Parse(authority);
  if (!parsed.ok()) return BadUrl(url, StrCat("has an ", ToStd(parsed.status().message())));
  const bool is_tcp = query.scheme == ExplainQuery::Scheme::kTcp;
  if (is_tcp && !parsed->port.has_value()) {
    return BadUrl(url, StrCat("has no port; write tcp://", authority, ":PORT"));
  }
  if (is_tcp && !path.empty() && path != "/") {
    return BadUrl(url, "has a path, and raw bytes have none; write tcp://ADDRESS:PORT");
  }
  const uint16_t default_port = query.scheme == ExplainQuery::Scheme::kHttps ? 443 : 80;
  query.port = parsed->port.value_or(default_port);
  query.host = std::move(parsed->host);
  return query;
}

absl::StatusOr<IpAddress> ParseAddress(std::string_view field, std::string_view text) {
  const bool in_brackets = text.size() > 2 && text.starts_with('[') && text.ends_with(']');
  const auto address = IpAddress::Parse(in_brackets ? text.substr(1, text.size() - 2) : text);
  if (!address.ok()) return AtField(field, address.status());
  return address;
}

absl::Status CheckMethod(std::string_view method) {
  const auto is_letter = [](unsigned char c) { return absl::ascii_isalnum(c) || c == '-'; };
  if (method.size() <= 32 && std::all_of(method.begin(), method.end(), is_letter)) {
    return absl::OkStatus();
  }
  return InvalidField("method",
                      StrCat(Quote(method), " is not an HTTP method; write GET, POST, …"));
}

absl::StatusOr<ExplainQuery> QueryOf(const v1::ExplainRequest& request) {
  ASSIGN_OR_RETURN(ExplainQuery query, ParseUrl(request.url()));
  RETURN_IF_ERROR(CheckMethod(request.method()));
  if (!request.dialled().empty()) {
    ASSIGN_OR_RETURN(query.dialled, ParseAddress("dialled", request.dialled()));
  }
  if (request.resolved_size() > kMaxResolved) {
    return InvalidField("resolved", "has more than 256 addresses");
  }
  for (int i = 0; i < request.resolved_size(); ++i) {
    ASSIGN_OR_RETURN(const IpAddress address,
                     ParseAddress(Element("resolved", i), request.resolved(i)));
    query.resolved.push_back(address);
  }
  const bool is_named_tcp = query.scheme == ExplainQuery::Scheme::kTcp && !query.host.is_address();
  if (is_named_tcp && !query.dialled.has_value() && query.resolved.empty()) {
    return BadUrl(request.url(),
                  "has a name, and raw bytes go to an address; write tcp://ADDRESS:PORT, or give "
                  "the address in `dialled`");
  }
  return query;
}

struct Subject {
  EffectivePolicy policy;
  uint64_t stored_revision = 0;
  uint64_t enforced_revision = 0;
};

absl::StatusOr<Subject> ClassSubject(const State& state, const std::string& name) {
  RETURN_IF_ERROR(ValidateName("class_name", name));
  RETURN_IF_ERROR(CheckClassExists(state, name));
  const auto record = state.classes.Find(name);
  v1::ContainerPolicy plain;
  plain.set_container_id("a-container-of-the-class");
  plain.set_class_name(name);
  Subject subject;
  ASSIGN_OR_RETURN(subject.policy,
                   EffectivePolicy::FromProto(record->value, plain, record->revision));
  subject.stored_revision = record->revision;
  return subject;
}

absl::StatusOr<Subject> ContainerSubject(const State& state, const Waiters& waiters,
                                         const std::string& id) {
  RETURN_IF_ERROR(ValidateContainerId(id));
  const auto record = state.containers.Find(id);
  if (record == nullptr) return NoContainer(id);
  RETURN_IF_ERROR(CheckClassExists(state, record->value.class_name()));
  const v1::ContainerStatus status = MakeContainerStatus(state, *record, waiters);
  Subject subject;
  ASSIGN_OR_RETURN(subject.policy,
                   EffectivePolicy::FromProto(state.classes.Find(record->value.class_name())->value,
                                              record->value, status.stored_revision()));
  subject.stored_revision = status.stored_revision();
  subject.enforced_revision = status.enforced_revision();
  return subject;
}

absl::StatusOr<Subject> SubjectOf(const State& state, const Waiters& waiters,
                                  const v1::ExplainRequest& request) {
  switch (request.subject_case()) {
    case v1::ExplainRequest::kContainerId:
      return ContainerSubject(state, waiters, request.container_id());
    case v1::ExplainRequest::kClassName:
      return ClassSubject(state, request.class_name());
    case v1::ExplainRequest::SUBJECT_NOT_SET:
      break;
  }
  return InvalidField("container_id",
                      "neither a container nor a class is named; write one of them");
}

void SetReference(const HandlerReference& reference, v1::HandlerReference* proto) {
  proto->set_handler(reference.handler);
  if (reference.params.fields_size() > 0) *proto->mutable_params() = reference.params;
}

v1::ExplainStep::Outcome OutcomeOf(StepResult::Outcome outcome) {
  switch (outcome) {
    case StepResult::Outcome::kPasses:
      return v1::ExplainStep::PASSES;
    case StepResult::Outcome::kDenies:
      return v1::ExplainStep::DENIES;
    case StepResult::Outcome::kHandler:
      return v1::ExplainStep::HANDLER;
    case StepResult::Outcome::kEgress:
      return v1::ExplainStep::EGRESS;
  }
  return v1::ExplainStep::OUTCOME_UNSPECIFIED;
}

v1::ExplainStep StepToProto(const ExplainedStep& step) {
  v1::ExplainStep proto;
  proto.set_number(static_cast<uint32_t>(step.number));
  proto.set_name(std::string(step.name));
  proto.set_outcome(OutcomeOf(step.result.outcome));
  proto.set_rule(step.result.rule.ToString());
  if (step.result.outcome == StepResult::Outcome::kDenies) {
    proto.set_reason(std::string(ReasonName(step.result.reason)));
  }
  if (step.result.handler != nullptr) SetReference(*step.result.handler, proto.mutable_handler());
  proto.set_decides(step.decides);
  return proto;
}

// Path and query of a URL that was parsed.
std::string TargetOf(std::string_view url) {
  const std::string_view rest = url.substr(url.find("://") + 3);
  const std::string_view target = rest.substr(std::min(rest.find_first_of("/?"), rest.size()));
  return target.starts_with('/') ? std::string(target) : StrCat("/", target);
}

// What the handler does if it is built in, or nothing.
std::string WhatBuiltinDoes(const State& state, const std::string& handler,
                            const v1::ExplainRequest& request, const ExplainQuery& query) {
  const auto record = state.handlers.Find(handler);
  if (record == nullptr || !record->value.has_builtin()) return "";
  const absl::StatusOr<BuiltinSpec> spec = BuiltinSpec::FromProto(record->value.builtin());
  if (!spec.ok()) return "";
  const bool https = query.scheme == ExplainQuery::Scheme::kHttps;
  const std::string host = query.host.ToUriString();
  const std::string authority = Authority{query.host, query.port}.ToString(https ? 443 : 80);
  const std::string target = TargetOf(request.url());
  return DescribeVerdict(*spec,
                         {request.method().empty() ? std::string_view("GET") : request.method(),
                          https ? "https" : "http", host, authority, target});
}

}  // namespace

absl::StatusOr<v1::ExplainResponse> Explain(const State& state, const Waiters& waiters,
                                            const v1::ExplainRequest& request) {
  ASSIGN_OR_RETURN(const ExplainQuery query, QueryOf(request));
  ASSIGN_OR_RETURN(const Subject subject, SubjectOf(state, waiters, request));
  const Explanation explanation = ExplainRequest(subject.policy, query, OpenRanges());

  v1::ExplainResponse response;
  response.set_decision(std::string(explanation.decision));
  response.set_reason(std::string(explanation.reason));
  response.set_rule(explanation.rule.ToString());
  if (explanation.handler != nullptr) {
    SetReference(*explanation.handler, response.mutable_handler());
    response.set_handler_registered(state.handlers.Find(explanation.handler->handler) != nullptr);
    response.set_builtin(WhatBuiltinDoes(state, explanation.handler->handler, request, query));
  }
  response.set_decrypted(explanation.decrypted);
  if (explanation.would_deny.has_value()) {
    response.set_would_deny(std::string(ReasonName(*explanation.would_deny)));
  }
  for (const ExplainedStep& step : explanation.steps) *response.add_steps() = StepToProto(step);
  response.set_stored_revision(subject.stored_revision);
  response.set_enforced_revision(subject.enforced_revision);
  response.set_host(query.host.text());
  response.set_port(query.port);
  return response;
}

PolicyService::Reactor* PolicyService::Explain(Context* context, const v1::ExplainRequest* request,
                                               v1::ExplainResponse* response) {
  absl::StatusOr<v1::ExplainResponse> explained =
      sallyport::Explain(*control_plane_->store->Read(), *control_plane_->waiters, *request);
  if (!explained.ok()) return Answer(context, explained.status());
  *response = *std::move(explained);
  return Answer(context, absl::OkStatus());
}

}  // namespace sallyport
