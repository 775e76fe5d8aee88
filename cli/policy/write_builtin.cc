#include <charconv>
#include <string>

#include "cli/policy/write.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

template <typename Texts>
Node FlowList(const Texts& texts) {
  Node list = Node::Sequence(Node::Style::kFlow);
  for (const std::string& text : texts) list.Add(Node::Text(text));
  return list;
}

Node HeaderToYaml(const v1::SetHeader& header) {
  if (!header.has_secret()) return Node::Text(header.value());
  Node mapping = Node::Mapping(Node::Style::kFlow);
  const v1::SecretReference& reference = header.secret();
  if (reference.has_file()) mapping.Add("file", Node::Text(reference.file()));
  if (reference.has_env()) mapping.Add("env", Node::Text(reference.env()));
  if (reference.has_secret()) mapping.Add("secret", Node::Text(reference.secret()));
  if (!header.prefix().empty()) mapping.Add("prefix", Node::Text(header.prefix()));
  if (header.has_basic_user()) mapping.Add("basic_user", Node::Text(header.basic_user()));
  if (header.base64()) mapping.Add("base64", Node::Boolean(true));
  return mapping;
}

Node RespondToYaml(const v1::FixedResponse& response) {
  Node mapping = Node::Mapping();
  if (response.status() != 0) mapping.Add("status", Node::Plain(StrCat(response.status())));
  if (!response.headers().empty()) {
    Node& headers = mapping.Add("headers", Node::Mapping());
    for (const v1::ResponseHeader& header : response.headers())
      headers.Add(header.name(), Node::Text(header.value()));
  }
  if (!response.body().empty()) mapping.Add("body", Node::Text(response.body()));
  return mapping;
}

Node RedirectToYaml(const v1::Redirect& redirect) {
  Node mapping = Node::Mapping(Node::Style::kFlow);
  mapping.Add("location", Node::Text(redirect.location()));
  if (redirect.status() != 0) mapping.Add("status", Node::Plain(StrCat(redirect.status())));
  return mapping;
}

Node RateToYaml(const v1::RateLimit& rate) {
  Node mapping = Node::Mapping(Node::Style::kFlow);
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), rate.requests_per_second());
  mapping.Add("requests_per_second", Node::Plain(std::string(buffer, end.ptr)));
  if (rate.burst() != 0) mapping.Add("burst", Node::Plain(StrCat(rate.burst())));
  return mapping;
}

}  // namespace

Node ToYaml(const v1::Builtin& builtin) {
  Node mapping = Node::Mapping();
  const auto add_text = [&](const char* name, const std::string& text) {
    if (!text.empty()) mapping.Add(name, Node::Text(text));
  };
  if (!builtin.allow_methods().empty())
    mapping.Add("allow_methods", FlowList(builtin.allow_methods()));
  if (!builtin.allow_paths().empty()) mapping.Add("allow_paths", FlowList(builtin.allow_paths()));
  if (!builtin.set_headers().empty()) {
    Node& headers = mapping.Add("set_headers", Node::Mapping());
    for (const v1::SetHeader& header : builtin.set_headers())
      headers.Add(header.name(), HeaderToYaml(header));
  }
  if (!builtin.remove_headers().empty())
    mapping.Add("remove_headers", FlowList(builtin.remove_headers()));
  add_text("authority", builtin.authority());
  add_text("scheme", builtin.scheme());
  add_text("strip_path_prefix", builtin.strip_path_prefix());
  add_text("add_path_prefix", builtin.add_path_prefix());
  if (builtin.has_respond()) mapping.Add("respond", RespondToYaml(builtin.respond()));
  if (builtin.has_redirect()) mapping.Add("redirect", RedirectToYaml(builtin.redirect()));
  if (builtin.has_rate_limit()) mapping.Add("rate_limit", RateToYaml(builtin.rate_limit()));
  return mapping;
}

}  // namespace sallyport::cli
