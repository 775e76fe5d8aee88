#include "cli/policy/write.h"

#include <string>
#include <utility>

#include "cli/policy/params.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

template <typename Texts>
Node List(const Texts& texts, Node::Style style = Node::Style::kBlock) {
  Node list = Node::Sequence(style);
  for (const std::string& text : texts) list.Add(Node::Text(text));
  return list;
}

void AddHandler(const v1::HandlerReference& reference, Node* mapping) {
  mapping->Add("handler", Node::Text(reference.handler()));
  if (reference.has_params()) mapping->Add("params", ParamsToYaml(reference.params()));
}

void AddReference(const v1::HandlerReference& reference, Node* mapping) {
  AddHandler(reference, &mapping->Add("outbound", Node::Mapping(Node::Style::kFlow)));
}

void AddRules(const google::protobuf::RepeatedPtrField<v1::HostRule>& rules, Node* mapping) {
  if (rules.empty()) return;
  Node& list = mapping->Add("outbound_by_host", Node::Sequence());
  for (const v1::HostRule& rule : rules) {
    Node& item = list.Add(Node::Mapping(Node::Style::kFlow));
    item.Add("host", Node::Text(rule.host()));
    AddHandler(rule.handler(), &item);
  }
}

Node DurationToYaml(const google::protobuf::Duration& duration) {
  const int64_t milliseconds = duration.seconds() * 1000 + duration.nanos() / 1'000'000;
  return Node::Plain(milliseconds % 1000 == 0 ? StrCat(milliseconds / 1000, "s")
                                              : StrCat(milliseconds, "ms"));
}

Node HealthCheckToYaml(const v1::HealthCheck& check) {
  Node mapping = Node::Mapping(Node::Style::kFlow);
  if (!check.service().empty()) mapping.Add("service", Node::Text(check.service()));
  if (check.has_interval()) mapping.Add("interval", DurationToYaml(check.interval()));
  if (check.has_timeout()) mapping.Add("timeout", DurationToYaml(check.timeout()));
  return mapping;
}

Node DenyResponseToYaml(const v1::DenyResponse& response) {
  Node mapping = Node::Mapping();
  if (response.status() != 0) mapping.Add("status", Node::Plain(StrCat(response.status())));
  if (!response.content_type().empty())
    mapping.Add("content_type", Node::Text(response.content_type()));
  if (response.has_body()) mapping.Add("body", Node::Text(response.body()));
  return mapping;
}

Node OverrideToYaml(const v1::HostListOverride& list) {
  if (list.has_replace()) return List(list.replace().hosts());
  Node mapping = Node::Mapping();
  if (!list.added().empty()) mapping.Add("added", List(list.added()));
  if (!list.removed().empty()) mapping.Add("removed", List(list.removed()));
  return mapping;
}

Node TlsToYaml(const v1::HandlerTls& tls) {
  Node mapping = Node::Mapping();
  if (!tls.ca_certificates().empty())
    mapping.Add("ca_certificates", Node::Text(tls.ca_certificates()));
  if (tls.client_certificate()) mapping.Add("client_certificate", Node::Boolean(true));
  if (!tls.server_name().empty()) mapping.Add("server_name", Node::Text(tls.server_name()));
  return mapping;
}

Node IdentityTokenToYaml(const v1::IdentityToken& token) {
  Node mapping = Node::Mapping();
  if (!token.audience().empty()) mapping.Add("audience", Node::Text(token.audience()));
  if (token.has_ttl()) mapping.Add("ttl", DurationToYaml(token.ttl()));
  return mapping;
}

}  // namespace

Node ToYaml(const v1::Handler& handler) {
  Node mapping = Node::Mapping();
  if (handler.has_builtin()) {
    mapping.Add("builtin", ToYaml(handler.builtin()));
  } else if (handler.endpoints().empty()) {
    mapping.Add("live", Node::Boolean(true));
  } else if (handler.endpoints_size() == 1) {
    mapping.Add("endpoint", Node::Text(handler.endpoints(0)));
  } else {
    mapping.Add("endpoints", List(handler.endpoints()));
  }
  if (handler.has_timeout()) mapping.Add("timeout", DurationToYaml(handler.timeout()));
  if (handler.on_failure() != v1::Handler::ON_FAILURE_UNSPECIFIED) {
    const bool egress = handler.on_failure() == v1::Handler::ON_FAILURE_EGRESS;
    mapping.Add("on_failure", Node::Text(egress ? "egress" : "deny"));
  }
  if (handler.holds_secrets()) mapping.Add("holds_secrets", Node::Boolean(true));
  if (handler.has_connect_timeout())
    mapping.Add("connect_timeout", DurationToYaml(handler.connect_timeout()));
  if (handler.retries() != 0) mapping.Add("retries", Node::Plain(StrCat(handler.retries())));
  if (handler.max_concurrency() != 0)
    mapping.Add("max_concurrency", Node::Plain(StrCat(handler.max_concurrency())));
  if (handler.has_health_check())
    mapping.Add("health_check", HealthCheckToYaml(handler.health_check()));
  if (handler.has_tls()) mapping.Add("tls", TlsToYaml(handler.tls()));
  if (handler.has_identity_token())
    mapping.Add("identity_token", IdentityTokenToYaml(handler.identity_token()));
  return mapping;
}

Node ToYaml(const v1::ContainerClass& value) {
  Node mapping = Node::Mapping();
  if (value.has_enable_internet())
    mapping.Add("enable_internet", Node::Boolean(value.enable_internet()));
  if (value.has_intercept_https())
    mapping.Add("intercept_https", Node::Boolean(value.intercept_https()));
  if (value.has_monitor()) mapping.Add("monitor", Node::Boolean(value.monitor()));
  if (value.has_allowed_hosts()) mapping.Add("allowed_hosts", List(value.allowed_hosts().hosts()));
  if (value.has_denied_hosts()) mapping.Add("denied_hosts", List(value.denied_hosts().hosts()));
  AddRules(value.outbound_by_host(), &mapping);
  if (value.has_outbound()) AddReference(value.outbound(), &mapping);
  if (value.has_outbound_handlers())
    mapping.Add("outbound_handlers", List(value.outbound_handlers().names()));
  if (!value.tls_passthrough_hosts().empty())
    mapping.Add("tls_passthrough_hosts", List(value.tls_passthrough_hosts()));
  if (value.has_deny_response())
    mapping.Add("deny_response", DenyResponseToYaml(value.deny_response()));
  if (!value.http_ports().empty()) {
    Node& ports = mapping.Add("http_ports", Node::Sequence(Node::Style::kFlow));
    for (const uint32_t port : value.http_ports()) ports.Add(Node::Plain(StrCat(port)));
  }
  return mapping;
}

Node ToYaml(const v1::ContainerPolicy& container) {
  Node mapping = Node::Mapping();
  mapping.Add("class", Node::Text(container.class_name()));
  if (container.has_enable_internet())
    mapping.Add("enable_internet", Node::Boolean(container.enable_internet()));
  if (container.has_allowed_hosts())
    mapping.Add("allowed_hosts", OverrideToYaml(container.allowed_hosts()));
  if (container.has_denied_hosts())
    mapping.Add("denied_hosts", OverrideToYaml(container.denied_hosts()));
  AddRules(container.outbound_by_host(), &mapping);
  if (container.has_outbound()) AddReference(container.outbound(), &mapping);
  if (container.intercepts().empty()) return mapping;
  Node& list = mapping.Add("intercepts", Node::Sequence());
  for (const v1::InterceptRule& rule : container.intercepts()) {
    Node& item = list.Add(Node::Mapping(Node::Style::kFlow));
    const bool https = rule.scheme() == v1::InterceptRule::SCHEME_HTTPS;
    item.Add("scheme", Node::Text(https ? "https" : "http"));
    item.Add("target", Node::Text(rule.target()));
    AddHandler(rule.handler(), &item);
  }
  return mapping;
}

}  // namespace sallyport::cli
