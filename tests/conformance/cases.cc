#include "tests/conformance/cases.h"

#include <google/protobuf/util/json_util.h>

#include <fstream>
#include <sstream>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::conformance {
namespace {

using google::protobuf::ListValue;
using google::protobuf::RepeatedPtrField;
using google::protobuf::Struct;
using google::protobuf::Value;

void AddStrings(const ListValue& list, RepeatedPtrField<std::string>* strings) {
  for (const Value& value : list.values()) strings->Add()->assign(value.string_value());
}

absl::Status Unknown(std::string_view what, std::string_view name) {
  return absl::InvalidArgumentError(StrCat("unknown ", what, " ", Quote(name)));
}

absl::StatusOr<v1::ContainerClass> ClassFrom(const Struct& fields) {
  v1::ContainerClass out;
  out.set_name("conformance");
  for (const auto& [name, value] : fields.fields()) {
    const ListValue& list = value.list_value();
    if (name == "enable_internet") {
      out.set_enable_internet(value.bool_value());
    } else if (name == "intercept_https") {
      out.set_intercept_https(value.bool_value());
    } else if (name == "allowed_hosts") {
      AddStrings(list, out.mutable_allowed_hosts()->mutable_hosts());
    } else if (name == "denied_hosts") {
      AddStrings(list, out.mutable_denied_hosts()->mutable_hosts());
    } else if (name == "outbound_by_host") {
      for (const Value& pair : list.values()) {
        v1::HostRule& rule = *out.add_outbound_by_host();
        rule.set_host(pair.list_value().values(0).string_value());
        rule.mutable_handler()->set_handler(pair.list_value().values(1).string_value());
      }
    } else if (name == "outbound") {
      out.mutable_outbound()->set_handler(value.string_value());
    } else if (name == "outbound_handlers") {
      AddStrings(list, out.mutable_outbound_handlers()->mutable_names());
    } else if (name == "tls_passthrough_hosts") {
      AddStrings(list, out.mutable_tls_passthrough_hosts());
    } else {
      return Unknown("class field", name);
    }
  }
  return out;
}

absl::StatusOr<Request> RequestFrom(const Struct& fields) {
  Request out;
  bool has_sni = false;
  for (const auto& [name, value] : fields.fields()) {
    const std::string& text = value.string_value();
    if (name == "scheme") {
      out.scheme = text;
    } else if (name == "host") {
      out.host = text;
    } else if (name == "sni") {
      has_sni = true;
      if (value.has_string_value()) out.sni = text;
    } else if (name == "dst") {
      out.dst = text;
    } else if (name == "port") {
      out.port = static_cast<uint16_t>(value.number_value());
    } else if (name == "method") {
      out.method = text;
    } else if (name == "target") {
      out.target = text;
    } else {
      return Unknown("request field", name);
    }
  }
  if (!has_sni) out.sni = out.host;
  if (out.port == 0 && out.scheme == "http") out.port = 80;
  if (out.port == 0 && out.scheme == "https") out.port = 443;
  if (out.port == 0) return absl::InvalidArgumentError("no port");
  return out;
}

absl::StatusOr<Expect> ExpectFrom(const Struct& fields) {
  Expect out;
  for (const auto& [name, value] : fields.fields()) {
    if (name == "outcome") {
      out.outcome = value.string_value();
    } else if (name == "status") {
      out.status = static_cast<int>(value.number_value());
    } else if (name == "reason") {
      out.reason = value.string_value();
    } else if (name == "handler") {
      out.handler = value.string_value();
    } else if (name == "params") {
      out.params = value.struct_value();
    } else if (name == "certificate") {
      out.certificate = value.string_value();
    } else if (name == "code") {
      out.code = value.string_value();
    } else if (name == "step") {
      out.step = static_cast<int>(value.number_value());
    } else {
      return Unknown("expectation", name);
    }
  }
  return out;
}

// Rule targets and handlers are both strings; whichever string stands where a handler does.
void CollectHandlers(Case* c) {
  auto add = [c](const std::string& name) {
    if (!name.empty() && name != "nope") c->handlers.insert(name);
  };
  add(c->container_class.outbound().handler());
  for (const auto& rule : c->container_class.outbound_by_host()) add(rule.handler().handler());
  for (const auto& name : c->container_class.outbound_handlers().names()) add(name);
  for (const Step& step : c->steps) {
    const auto& arguments = step.arguments.values();
    if (step.rpc == "SetOutboundHandler" || step.rpc == "InterceptAllOutboundHttp") {
      add(arguments[0].string_value());
    } else if (step.rpc == "SetOutboundByHost" || step.rpc == "InterceptOutboundHttp" ||
               step.rpc == "InterceptOutboundHttps") {
      add(arguments[1].string_value());
    } else if (step.rpc == "SetOutboundByHosts") {
      for (const Value& rule : arguments[0].list_value().values()) {
        add(rule.list_value().values(1).string_value());
      }
    }
  }
}

absl::StatusOr<Case> CaseFrom(const Struct& fields) {
  Case out;
  for (const auto& [name, value] : fields.fields()) {
    if (name == "id") {
      out.id = value.string_value();
    } else if (name == "class") {
      ASSIGN_OR_RETURN(out.container_class, ClassFrom(value.struct_value()));
    } else if (name == "steps") {
      for (const Value& given : value.list_value().values()) {
        Step step{given.list_value().values(0).string_value(), given.list_value()};
        step.arguments.mutable_values()->DeleteSubrange(0, 1);
        out.steps.push_back(std::move(step));
      }
    } else if (name == "request") {
      ASSIGN_OR_RETURN(out.request, RequestFrom(value.struct_value()));
    } else if (name == "expect") {
      ASSIGN_OR_RETURN(out.expect, ExpectFrom(value.struct_value()));
    } else {
      return Unknown("field", name);
    }
  }
  CollectHandlers(&out);
  return out;
}

}  // namespace

absl::StatusOr<std::vector<Case>> LoadCases(const std::string& path) {
  std::ifstream file(path);
  std::stringstream json;
  json << file.rdbuf();
  if (!file.good()) return absl::NotFoundError(StrCat("cannot read ", path));
  ListValue list;
  const auto parsed = google::protobuf::util::JsonStringToMessage(json.str(), &list);
  if (!parsed.ok()) return absl::InvalidArgumentError(StrCat(path, ": ", parsed.ToString()));
  std::vector<Case> cases;
  for (const Value& value : list.values()) {
    absl::StatusOr<Case> c = CaseFrom(value.struct_value());
    if (!c.ok()) {
      return absl::InvalidArgumentError(
          StrCat("case ", value.struct_value().fields().at("id").string_value(), ": ",
                 c.status().message()));
    }
    cases.push_back(*std::move(c));
  }
  return cases;
}

}  // namespace sallyport::conformance
