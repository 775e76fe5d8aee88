#include "cli/policy_file.h"

#include <google/protobuf/struct.pb.h>
#include <yaml-cpp/yaml.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

// Thrown inside this file only: yaml-cpp reports by exceptions too, and both become one status.
struct Problem {
  YAML::Mark mark;
  std::string what;
};

[[noreturn]] void Fail(const YAML::Node& node, const std::string& what) {
  throw Problem{node.Mark(), what};
}

using Setter = std::function<void(const YAML::Node& value)>;

// Each key of the mapping goes to its setter; an unknown one is refused.
void ReadMapping(const YAML::Node& node, const std::string& what,
                 const std::map<std::string, Setter>& setters) {
  if (!node.IsMap()) Fail(node, StrCat(what, " must be a mapping"));
  for (const auto& entry : node) {
    const std::string key = entry.first.as<std::string>();
    const auto found = setters.find(key);
    if (found == setters.end()) {
      std::vector<std::string> known;
      for (const auto& [name, setter] : setters) known.push_back(name);
      Fail(entry.first,
           StrCat(what, " has no field `", key, "`; there are ", absl::StrJoin(known, ", ")));
    }
    found->second(entry.second);
  }
}

std::string Text(const YAML::Node& node) {
  if (!node.IsScalar()) Fail(node, "expected text");
  return node.Scalar();
}

bool Boolean(const YAML::Node& node) {
  bool value = false;
  if (!node.IsScalar() || !YAML::convert<bool>::decode(node, value))
    Fail(node, "expected true or false");
  return value;
}

uint32_t Number(const YAML::Node& node) {
  uint32_t value = 0;
  if (!node.IsScalar() || !absl::SimpleAtoi(node.Scalar(), &value))
    Fail(node, "expected a whole number");
  return value;
}

void ForEach(const YAML::Node& node, const Setter& setter) {
  if (!node.IsSequence()) Fail(node, "expected a list");
  for (const YAML::Node& item : node) setter(item);
}

void ReadHosts(const YAML::Node& node, v1::HostList* list) {
  ForEach(node, [&](const YAML::Node& item) { list->add_hosts(Text(item)); });
}

google::protobuf::Value ToValue(const YAML::Node& node) {
  google::protobuf::Value value;
  if (node.IsSequence()) {
    value.mutable_list_value();
    for (const YAML::Node& item : node) *value.mutable_list_value()->add_values() = ToValue(item);
  } else if (node.IsMap()) {
    value.mutable_struct_value();
    for (const auto& entry : node) {
      (*value.mutable_struct_value()->mutable_fields())[entry.first.as<std::string>()] =
          ToValue(entry.second);
    }
  } else if (node.IsNull()) {
    value.set_null_value(google::protobuf::NULL_VALUE);
  } else {
    bool boolean = false;
    double number = 0;
    // Quoted text stays text.
    const bool plain = node.Tag() != "!";
    if (plain && YAML::convert<bool>::decode(node, boolean)) {
      value.set_bool_value(boolean);
    } else if (plain && absl::SimpleAtod(node.Scalar(), &number) && std::isfinite(number)) {
      value.set_number_value(number);
    } else {
      value.set_string_value(node.Scalar());
    }
  }
  return value;
}

void ReadParams(const YAML::Node& node, v1::HandlerReference* reference) {
  if (!node.IsMap()) Fail(node, "params must be a mapping");
  *reference->mutable_params() = ToValue(node).struct_value();
}

void ReadReference(const YAML::Node& node, v1::HandlerReference* reference) {
  if (node.IsScalar()) {
    reference->set_handler(node.Scalar());
    return;
  }
  ReadMapping(node, "a handler reference",
              {{"handler", [&](const YAML::Node& value) { reference->set_handler(Text(value)); }},
               {"params", [&](const YAML::Node& value) { ReadParams(value, reference); }}});
}

void ReadRule(const YAML::Node& node, v1::HostRule* rule) {
  ReadMapping(
      node, "a rule",
      {{"host", [&](const YAML::Node& value) { rule->set_host(Text(value)); }},
       {"handler",
        [&](const YAML::Node& value) { rule->mutable_handler()->set_handler(Text(value)); }},
       {"params", [&](const YAML::Node& value) { ReadParams(value, rule->mutable_handler()); }}});
  if (rule->host().empty() || rule->handler().handler().empty())
    Fail(node, "a rule needs `host` and `handler`");
}

// "5s", "250ms", "2m".
void ReadDuration(const YAML::Node& node, google::protobuf::Duration* duration) {
  const std::string text = Text(node);
  const size_t digits = text.find_first_not_of("0123456789");
  int64_t count = 0;
  const std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  const int64_t milliseconds = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  if (milliseconds == 0 || !absl::SimpleAtoi(text.substr(0, digits), &count) || count > 1'000'000) {
    Fail(node, "expected a duration such as 5s, 250ms or 2m");
  }
  duration->set_seconds(count * milliseconds / 1000);
  duration->set_nanos(static_cast<int32_t>(count * milliseconds % 1000) * 1'000'000);
}

void ReadHandler(const YAML::Node& node, v1::Handler* handler) {
  const auto on_failure = [&](const YAML::Node& value) {
    const std::string text = Text(value);
    if (text != "deny" && text != "egress") Fail(value, "on_failure is deny or egress");
    handler->set_on_failure(text == "egress" ? v1::Handler::ON_FAILURE_EGRESS
                                             : v1::Handler::ON_FAILURE_DENY);
  };
  ReadMapping(node, "a handler",
              {{"endpoint", [&](const YAML::Node& value) { handler->add_endpoints(Text(value)); }},
               {"endpoints",
                [&](const YAML::Node& value) {
                  ForEach(value,
                          [&](const YAML::Node& item) { handler->add_endpoints(Text(item)); });
                }},
               {"timeout",
                [&](const YAML::Node& value) { ReadDuration(value, handler->mutable_timeout()); }},
               {"on_failure", on_failure},
               {"holds_secrets",
                [&](const YAML::Node& value) { handler->set_holds_secrets(Boolean(value)); }}});
}

void ReadDenyResponse(const YAML::Node& node, v1::DenyResponse* response) {
  ReadMapping(
      node, "deny_response",
      {{"status", [&](const YAML::Node& value) { response->set_status(Number(value)); }},
       {"content_type", [&](const YAML::Node& value) { response->set_content_type(Text(value)); }},
       {"body", [&](const YAML::Node& value) { response->set_body(Text(value)); }}});
}

void ReadClass(const YAML::Node& node, v1::ContainerClass* value) {
  ReadMapping(
      node, "a class",
      {{"enable_internet",
        [&](const YAML::Node& field) { value->set_enable_internet(Boolean(field)); }},
       {"intercept_https",
        [&](const YAML::Node& field) { value->set_intercept_https(Boolean(field)); }},
       {"allowed_hosts",
        [&](const YAML::Node& field) { ReadHosts(field, value->mutable_allowed_hosts()); }},
       {"denied_hosts",
        [&](const YAML::Node& field) { ReadHosts(field, value->mutable_denied_hosts()); }},
       {"outbound_by_host",
        [&](const YAML::Node& field) {
          ForEach(field,
                  [&](const YAML::Node& item) { ReadRule(item, value->add_outbound_by_host()); });
        }},
       {"outbound",
        [&](const YAML::Node& field) { ReadReference(field, value->mutable_outbound()); }},
       {"outbound_handlers",
        [&](const YAML::Node& field) {
          value->mutable_outbound_handlers();
          ForEach(field, [&](const YAML::Node& item) {
            value->mutable_outbound_handlers()->add_names(Text(item));
          });
        }},
       {"tls_passthrough_hosts",
        [&](const YAML::Node& field) {
          ForEach(field,
                  [&](const YAML::Node& item) { value->add_tls_passthrough_hosts(Text(item)); });
        }},
       {"deny_response",
        [&](const YAML::Node& field) { ReadDenyResponse(field, value->mutable_deny_response()); }},
       {"http_ports", [&](const YAML::Node& field) {
          ForEach(field, [&](const YAML::Node& item) { value->add_http_ports(Number(item)); });
        }}});
}

void ReadContainer(const YAML::Node& node, v1::ContainerPolicy* value) {
  ReadMapping(node, "a container",
              {{"class", [&](const YAML::Node& field) { value->set_class_name(Text(field)); }},
               {"enable_internet",
                [&](const YAML::Node& field) { value->set_enable_internet(Boolean(field)); }},
               {"allowed_hosts",
                [&](const YAML::Node& field) {
                  ReadHosts(field, value->mutable_allowed_hosts()->mutable_replace());
                }},
               {"denied_hosts",
                [&](const YAML::Node& field) {
                  ReadHosts(field, value->mutable_denied_hosts()->mutable_replace());
                }},
               {"outbound_by_host",
                [&](const YAML::Node& field) {
                  ForEach(field, [&](const YAML::Node& item) {
                    ReadRule(item, value->add_outbound_by_host());
                  });
                }},
               {"outbound", [&](const YAML::Node& field) {
                  ReadReference(field, value->mutable_outbound());
                }}});
  if (value->class_name().empty()) Fail(node, "a container needs `class`");
}

// A mapping from names to what `read` makes of them.
template <typename T, typename SetName, typename Read>
Setter Named(std::vector<T>* into, SetName set_name, Read read) {
  return [=](const YAML::Node& node) {
    if (!node.IsMap()) Fail(node, "expected a mapping from names");
    for (const auto& entry : node) {
      T value;
      set_name(&value, entry.first.as<std::string>());
      read(entry.second, &value);
      into->push_back(std::move(value));
    }
  };
}

}  // namespace

absl::StatusOr<PolicyFile> ParsePolicyFile(const std::string& text, const std::string& file_name) {
  const auto at = [&](const YAML::Mark& mark, const std::string& what) {
    return absl::InvalidArgumentError(
        StrCat(file_name, ":", mark.line + 1, ":", mark.column + 1, ": ", what));
  };
  PolicyFile file;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull())
      return at(YAML::Mark(), "the file is empty; write `classes:` and a class below it");
    ReadMapping(root, "a policy file",
                {{"handlers",
                  Named(
                      &file.handlers,
                      [](v1::Handler* value, const std::string& name) { value->set_name(name); },
                      ReadHandler)},
                 {"classes", Named(
                                 &file.classes,
                                 [](v1::ContainerClass* value, const std::string& name) {
                                   value->set_name(name);
                                 },
                                 ReadClass)},
                 {"containers", Named(
                                    &file.containers,
                                    [](v1::ContainerPolicy* value, const std::string& name) {
                                      value->set_container_id(name);
                                    },
                                    ReadContainer)}});
  } catch (const Problem& problem) {
    return at(problem.mark, problem.what);
  } catch (const YAML::Exception& exception) {
    return at(exception.mark, exception.msg);
  }
  return file;
}

absl::StatusOr<PolicyFile> ReadPolicyFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return absl::NotFoundError(StrCat("cannot read ", path));
  const std::string text((std::istreambuf_iterator<char>(stream)),
                         std::istreambuf_iterator<char>());
  return ParsePolicyFile(text, path);
}

}  // namespace sallyport::cli
