#include "common/cases/case_parser.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/net/address.h"

namespace sallyport::cases {
namespace {

using google::protobuf::ListValue;
using google::protobuf::RepeatedPtrField;
using google::protobuf::Struct;
using google::protobuf::Value;
using Json = nlohmann::json;

constexpr char kUnregistered[] = "nope";

void ToProto(const Json& json, Value* value) {
  if (json.is_object()) {
    Struct* fields = value->mutable_struct_value();
    for (const auto& [name, field] : json.items())
      ToProto(field, &(*fields->mutable_fields())[name]);
  } else if (json.is_array()) {
    ListValue* list = value->mutable_list_value();
    for (const Json& item : json) ToProto(item, list->add_values());
  } else if (json.is_string()) {
    value->set_string_value(json.get_ref<const std::string&>());
  } else if (json.is_boolean()) {
    value->set_bool_value(json.get<bool>());
  } else if (json.is_number()) {
    value->set_number_value(json.get<double>());
  } else {
    value->set_null_value(google::protobuf::NULL_VALUE);
  }
}

// Remembers the field that it is at, for messages.
class Parser {
 public:
  const std::string& field() const { return field_; }

  absl::Status ReadCase(const Json& json, Case* out) {
    const auto status = ReadObject(
        json,
        {{"id", [&](const Json& value) { return ReadText(value, &out->id); }},
         {"class", [&](const Json& value) { return ReadClass(value, &out->container_class); }},
         {"steps", [&](const Json& value) { return ReadSteps(value, &out->steps); }},
         {"request", [&](const Json& value) { return ReadRequest(value, &out->request); }},
         {"expect", [&](const Json& value) { return ReadExpect(value, &out->expect); }}});
    RETURN_IF_ERROR(status);
    for (const char* wanted : {"id", "request", "expect"}) {
      if (!json.contains(wanted)) return Wrong(StrCat("has no ", Quote(wanted)));
    }
    handlers_.erase(kUnregistered);
    out->handlers.insert(handlers_.begin(), handlers_.end());
    return absl::OkStatus();
  }

 private:
  using Field = std::function<absl::Status(const Json& value)>;
  using Fields = std::map<std::string, Field, std::less<>>;

  static absl::Status Wrong(const std::string& message) {
    return absl::InvalidArgumentError(message);
  }

  absl::Status ReadObject(const Json& json, const Fields& fields) {
    if (!json.is_object()) return Wrong(StrCat(Quote(field_), " is not an object"));
    for (const auto& [name, value] : json.items()) {
      field_ = name;
      const auto known = fields.find(name);
      if (known == fields.end()) {
        std::string names;
        for (const auto& [other, unused] : fields) names += (names.empty() ? "" : ", ") + other;
        return Wrong(StrCat("unknown field ", Quote(name), "; there are ", names));
      }
      RETURN_IF_ERROR(known->second(value));
    }
    return absl::OkStatus();
  }

  absl::Status ReadText(const Json& json, std::string* out) {
    if (!json.is_string()) return Wrong(StrCat(Quote(field_), " is not a string"));
    *out = json.get_ref<const std::string&>();
    return absl::OkStatus();
  }
  absl::Status ReadNumber(const Json& json, int64_t low, int64_t high, int64_t* out) {
    if (!json.is_number_integer() || json.get<int64_t>() < low || json.get<int64_t>() > high) {
      return Wrong(StrCat(Quote(field_), " is not a number from ", low, " to ", high));
    }
    *out = json.get<int64_t>();
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Boolean(const Json& json) {
    if (!json.is_boolean()) return Wrong(StrCat(Quote(field_), " is neither true nor false"));
    return json.get<bool>();
  }
  absl::Status ReadTexts(const Json& json, RepeatedPtrField<std::string>* out) {
    if (!json.is_array()) return Wrong(StrCat(Quote(field_), " is not a list"));
    for (const Json& item : json) RETURN_IF_ERROR(ReadText(item, out->Add()));
    return absl::OkStatus();
  }
  absl::Status ReadHandler(const Json& json, v1::HandlerReference* out) {
    RETURN_IF_ERROR(ReadText(json, out->mutable_handler()));
    handlers_.insert(out->handler());
    return absl::OkStatus();
  }

  static void SetParams(const Json& json, v1::HandlerReference* out) {
    Value params;
    ToProto(json, &params);
    *out->mutable_params() = params.struct_value();
  }

  // `handler`, or `[handler, params]`.
  absl::Status ReadCatchAll(const Json& json, v1::HandlerReference* out) {
    if (!json.is_array()) return ReadHandler(json, out);
    if (json.size() != 2 || !json[1].is_object()) {
      return Wrong(StrCat(Quote(field_), " is neither a handler nor [handler, params]"));
    }
    SetParams(json[1], out);
    return ReadHandler(json[0], out);
  }

  // `[pattern, handler]` or `[pattern, handler, params]`.
  absl::Status ReadRule(const Json& json, v1::HostRule* out) {
    if (!json.is_array() || json.size() < 2 || json.size() > 3 ||
        (json.size() == 3 && !json[2].is_object())) {
      return Wrong(StrCat("a rule in ", Quote(field_), " is not [pattern, handler, params?]"));
    }
    RETURN_IF_ERROR(ReadText(json[0], out->mutable_host()));
    RETURN_IF_ERROR(ReadHandler(json[1], out->mutable_handler()));
    if (json.size() == 3) SetParams(json[2], out->mutable_handler());
    return absl::OkStatus();
  }

  absl::Status ReadClass(const Json& json, v1::ContainerClass* out) {
    out->set_name("conformance");
    const auto flag = [this](void (v1::ContainerClass::*set)(bool), v1::ContainerClass* of) {
      return [this, set, of](const Json& value) -> absl::Status {
        ASSIGN_OR_RETURN(const bool on, Boolean(value));
        (of->*set)(on);
        return absl::OkStatus();
      };
    };
    return ReadObject(
        json,
        {{"enable_internet", flag(&v1::ContainerClass::set_enable_internet, out)},
         {"intercept_https", flag(&v1::ContainerClass::set_intercept_https, out)},
         {"monitor", flag(&v1::ContainerClass::set_monitor, out)},
         {"allowed_hosts",
          [&](const Json& v) {
            return ReadTexts(v, out->mutable_allowed_hosts()->mutable_hosts());
          }},
         {"denied_hosts",
          [&](const Json& v) {
            return ReadTexts(v, out->mutable_denied_hosts()->mutable_hosts());
          }},
         {"outbound_by_host",
          [&](const Json& v) -> absl::Status {
            if (!v.is_array()) return Wrong("\"outbound_by_host\" is not a list");
            for (const Json& rule : v) RETURN_IF_ERROR(ReadRule(rule, out->add_outbound_by_host()));
            return absl::OkStatus();
          }},
         {"outbound", [&](const Json& v) { return ReadCatchAll(v, out->mutable_outbound()); }},
         {"outbound_handlers",
          [&](const Json& v) -> absl::Status {
            RETURN_IF_ERROR(ReadTexts(v, out->mutable_outbound_handlers()->mutable_names()));
            handlers_.insert(out->outbound_handlers().names().begin(),
                             out->outbound_handlers().names().end());
            return absl::OkStatus();
          }},
         {"tls_passthrough_hosts",
          [&](const Json& v) { return ReadTexts(v, out->mutable_tls_passthrough_hosts()); }},
         {"http_ports",
          [&](const Json& v) -> absl::Status {
            if (!v.is_array()) return Wrong("\"http_ports\" is not a list");
            for (const Json& item : v) {
              int64_t port = 0;
              RETURN_IF_ERROR(ReadNumber(item, 0, UINT32_MAX, &port));
              out->add_http_ports(static_cast<uint32_t>(port));
            }
            return absl::OkStatus();
          }},
         {"deny_response",
          [&](const Json& v) { return ReadDenyResponse(v, out->mutable_deny_response()); }}});
  }

  absl::Status ReadDenyResponse(const Json& json, v1::DenyResponse* out) {
    return ReadObject(
        json,
        {{"status",
          [&](const Json& v) -> absl::Status {
            int64_t status = 0;
            RETURN_IF_ERROR(ReadNumber(v, 0, UINT32_MAX, &status));
            out->set_status(static_cast<uint32_t>(status));
            return absl::OkStatus();
          }},
         {"content_type", [&](const Json& v) { return ReadText(v, out->mutable_content_type()); }},
         {"body", [&](const Json& v) { return ReadText(v, out->mutable_body()); }}});
  }

  // What the arguments of each call are: h host or target, H list of hosts, f handler, r rules,
  // p params (may be left out), b a flag or null, c a class.
  static const std::map<std::string, std::string_view>& Calls() {
    static const auto& calls = *new std::map<std::string, std::string_view>{
        {"SetOutboundByHost", "hfp"},
        {"SetOutboundByHosts", "r"},
        {"RemoveOutboundByHost", "h"},
        {"SetOutboundHandler", "fp"},
        {"ClearOutboundHandler", ""},
        {"SetAllowedHosts", "H"},
        {"SetDeniedHosts", "H"},
        {"ClearAllowedHosts", ""},
        {"ClearDeniedHosts", ""},
        {"AllowHost", "h"},
        {"DenyHost", "h"},
        {"RemoveAllowedHost", "h"},
        {"RemoveDeniedHost", "h"},
        {"SetEnableInternet", "b"},
        {"InterceptOutboundHttp", "hfp"},
        {"InterceptOutboundHttps", "hfp"},
        {"InterceptAllOutboundHttp", "fp"},
        {"RemoveInterceptOutboundHttp", "h"},
        {"RemoveInterceptOutboundHttps", "h"},
        {"RemoveInterceptAllOutboundHttp", ""},
        {"ApplyClass", "c"},
    };
    return calls;
  }

  absl::Status ReadSteps(const Json& json, std::vector<Step>* out) {
    if (!json.is_array()) return Wrong("\"steps\" is not a list");
    for (const Json& item : json) {
      if (!item.is_array() || item.empty() || !item[0].is_string()) {
        return Wrong("a step is not [call, arguments…]");
      }
      out->emplace_back();
      RETURN_IF_ERROR(ReadStep(item, &out->back()));
    }
    return absl::OkStatus();
  }

  absl::Status ReadStep(const Json& json, Step* out) {
    out->rpc = field_ = json[0].get_ref<const std::string&>();
    const auto call = Calls().find(out->rpc);
    if (call == Calls().end()) return Wrong(StrCat("there is no call ", Quote(out->rpc)));
    const std::string_view kinds = call->second;
    const size_t given = json.size() - 1;
    const size_t least = kinds.ends_with('p') ? kinds.size() - 1 : kinds.size();
    if (given < least || given > kinds.size()) {
      return Wrong(
          StrCat(out->rpc, " takes ", least, " arguments after the container, not ", given));
    }
    for (size_t i = 0; i < given; ++i) RETURN_IF_ERROR(ReadArgument(kinds[i], json[i + 1], out));
    return absl::OkStatus();
  }

  absl::Status ReadArgument(char kind, const Json& json, Step* out) {
    std::string text;
    RepeatedPtrField<std::string> texts;
    v1::HandlerReference reference;
    switch (kind) {
      case 'h':
        RETURN_IF_ERROR(ReadText(json, &text));
        break;
      case 'H':
        RETURN_IF_ERROR(ReadTexts(json, &texts));
        break;
      case 'f':
        RETURN_IF_ERROR(ReadHandler(json, &reference));
        break;
      case 'p':
        if (!json.is_object()) return Wrong(StrCat("params of ", out->rpc, " are not an object"));
        break;
      case 'r':
        if (!json.is_array()) return Wrong(StrCat(out->rpc, " takes a list of rules"));
        for (const Json& rule : json) {
          v1::HostRule unused;
          RETURN_IF_ERROR(ReadRule(rule, &unused));
        }
        break;
      case 'b':
        if (!json.is_boolean() && !json.is_null()) {
          return Wrong(StrCat(out->rpc, " takes true, false or null"));
        }
        break;
      case 'c':
        return ReadClass(json, &out->container_class.emplace());
    }
    ToProto(json, out->arguments.add_values());
    return absl::OkStatus();
  }

  absl::Status ReadRequest(const Json& json, Request* out) {
    bool has_sni = false;
    const auto optional_text = [this](std::optional<std::string>* to) {
      return [this, to](const Json& v) { return ReadText(v, &to->emplace()); };
    };
    const absl::Status status = ReadObject(
        json, {{"scheme", [&](const Json& v) { return ReadText(v, &out->scheme); }},
               {"host", optional_text(&out->host)},
               {"sni",
                [&](const Json& v) -> absl::Status {
                  has_sni = true;
                  return v.is_null() ? absl::OkStatus() : ReadText(v, &out->sni.emplace());
                }},
               {"dst", [&](const Json& v) { return ReadText(v, &out->dst); }},
               {"port",
                [&](const Json& v) -> absl::Status {
                  int64_t port = 0;
                  RETURN_IF_ERROR(ReadNumber(v, 1, 65535, &port));
                  out->port = static_cast<uint16_t>(port);
                  return absl::OkStatus();
                }},
               {"method", [&](const Json& v) { return ReadText(v, &out->method); }},
               {"target", optional_text(&out->target)}});
    RETURN_IF_ERROR(status);
    field_ = "request";
    if (out->scheme != "http" && out->scheme != "https" && out->scheme != "tcp") {
      return Wrong("the request's scheme is none of http, https and tcp");
    }
    if (!IpAddress::Parse(out->dst).ok()) return Wrong("the request's dst is not an address");
    if (!has_sni) out->sni = out->host;
    if (out->port == 0 && out->scheme == "http") out->port = 80;
    if (out->port == 0 && out->scheme == "https") out->port = 443;
    if (out->port == 0) return Wrong("the request has no port");
    return absl::OkStatus();
  }

  absl::Status ReadExpect(const Json& json, Expect* out) {
    static constexpr const char* kOutcomes[] = {"deny",        "handler",      "egress",
                                                "relay",       "reset",        "bad_request",
                                                "misdirected", "rpc_rejected", "class_rejected"};
    const absl::Status status = ReadObject(
        json, {{"outcome", [&](const Json& v) { return ReadText(v, &out->outcome); }},
               {"status",
                [&](const Json& v) -> absl::Status {
                  int64_t number = 0;
                  RETURN_IF_ERROR(ReadNumber(v, 0, 999, &number));
                  out->status = static_cast<int>(number);
                  return absl::OkStatus();
                }},
               {"reason", [&](const Json& v) { return ReadText(v, &out->reason); }},
               {"handler", [&](const Json& v) { return ReadText(v, &out->handler); }},
               {"params",
                [&](const Json& v) -> absl::Status {
                  if (!v.is_object()) return Wrong("\"params\" is not an object");
                  Value params;
                  ToProto(v, &params);
                  out->params = params.struct_value();
                  return absl::OkStatus();
                }},
               {"certificate", [&](const Json& v) { return ReadText(v, &out->certificate); }},
               {"code", [&](const Json& v) { return ReadText(v, &out->code); }},
               {"step", [&](const Json& v) -> absl::Status {
                  int64_t number = 0;
                  RETURN_IF_ERROR(ReadNumber(v, 0, INT32_MAX, &number));
                  out->step = static_cast<int>(number);
                  return absl::OkStatus();
                }}});
    RETURN_IF_ERROR(status);
    field_ = "expect";
    if (std::find(std::begin(kOutcomes), std::end(kOutcomes), out->outcome) ==
        std::end(kOutcomes)) {
      return Wrong(StrCat("there is no outcome ", Quote(out->outcome)));
    }
    return absl::OkStatus();
  }

  std::string field_ = "case";
  std::set<std::string> handlers_;
};

}  // namespace

std::variant<Case, BadCase> ParseCase(std::string_view text) {
  Json json;
  try {
    json = Json::parse(text.begin(), text.end());
  } catch (const Json::exception& error) {
    const auto* at = dynamic_cast<const Json::parse_error*>(&error);
    const size_t byte = at == nullptr || at->byte == 0 ? 0 : at->byte - 1;
    return BadCase{"is not JSON", std::min(byte, text.size())};
  }
  Case result;
  Parser parser;
  const absl::Status status = parser.ReadCase(json, &result);
  if (!status.ok()) return BadCase{std::string(status.message()), {}, parser.field()};
  return result;
}

}  // namespace sallyport::cases
