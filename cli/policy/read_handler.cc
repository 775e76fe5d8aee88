#include "absl/strings/numbers.h"
#include "cli/policy/read.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

void ReadOnFailure(const Node& node, FieldReader* reader, v1::Handler* handler) {
  const std::string text = reader->Text(node);
  if (text == "deny") {
    handler->set_on_failure(v1::Handler::ON_FAILURE_DENY);
  } else if (text == "egress") {
    handler->set_on_failure(v1::Handler::ON_FAILURE_EGRESS);
  } else {
    reader->Fail(node, "on_failure is deny or egress");
  }
}

void ReadHealthCheck(const Node& node, FieldReader* reader, v1::HealthCheck* check) {
  reader->Mapping(
      node, "a health check", "health_check",
      {{"service", [&](const Node& value) { check->set_service(reader->Text(value)); }},
       {"interval",
        [&](const Node& value) { ReadDuration(value, reader, check->mutable_interval()); }},
       {"timeout",
        [&](const Node& value) { ReadDuration(value, reader, check->mutable_timeout()); }}});
}

}  // namespace

void ReadDuration(const Node& node, FieldReader* reader, google::protobuf::Duration* duration) {
  const std::string text = reader->Text(node);
  const size_t digits = text.find_first_not_of("0123456789");
  int64_t count = 0;
  const std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  const int64_t milliseconds = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  if (milliseconds == 0 || !absl::SimpleAtoi(text.substr(0, digits), &count) || count > 1'000'000) {
    reader->Fail(node, "expected a duration such as 5s, 250ms or 2m");
    return;
  }
  duration->set_seconds(count * milliseconds / 1000);
  duration->set_nanos(static_cast<int32_t>(count * milliseconds % 1000) * 1'000'000);
}

void Read(const Node& node, FieldReader* reader, v1::Handler* handler) {
  bool live = false;
  bool somewhere = false;
  const bool is_mapping = reader->Mapping(
      node, "a handler", "",
      {{"live", [&](const Node& value) { live = reader->Boolean(value); }},
       {"endpoint",
        [&](const Node& value) {
          somewhere = true;
          reader->marks().Set("endpoints[0]", value.mark);
          handler->add_endpoints(reader->Text(value));
        }},
       {"endpoints",
        [&](const Node& value) {
          somewhere = true;
          if (!handler->endpoints().empty())
            return reader->Fail(value, "write `endpoint` or `endpoints`, not both");
          reader->Texts(value, "endpoints", handler->mutable_endpoints());
        }},
       {"timeout",
        [&](const Node& value) { ReadDuration(value, reader, handler->mutable_timeout()); }},
       {"on_failure", [&](const Node& value) { ReadOnFailure(value, reader, handler); }},
       {"holds_secrets",
        [&](const Node& value) { handler->set_holds_secrets(reader->Boolean(value)); }},
       {"builtin",
        [&](const Node& value) {
          somewhere = true;
          ReadBuiltin(value, "builtin", reader, handler->mutable_builtin());
        }},
       {"connect_timeout",
        [&](const Node& value) {
          ReadDuration(value, reader, handler->mutable_connect_timeout());
        }},
       {"tls", [&](const Node& value) { ReadHandlerTls(value, reader, handler->mutable_tls()); }},
       {"identity_token",
        [&](const Node& value) {
          ReadIdentityToken(value, reader, handler->mutable_identity_token());
        }},
       {"retries", [&](const Node& value) { handler->set_retries(reader->Number(value)); }},
       {"max_concurrency",
        [&](const Node& value) { handler->set_max_concurrency(reader->Number(value)); }},
       {"health_check", [&](const Node& value) {
          ReadHealthCheck(value, reader, handler->mutable_health_check());
        }}});
  if (!is_mapping) return;
  if (live && somewhere) {
    reader->Fail(
        node,
        "`live: true` is for a handler without endpoints of its own; services may register "
        "themselves beside those that it has");
  } else if (!live && (!somewhere || (!handler->has_builtin() && handler->endpoints().empty()))) {
    reader->Fail(node,
                 "where is it? write `endpoint`, `endpoints`, `builtin`, or `live: true` for "
                 "services that register themselves");
  }
}

}  // namespace sallyport::cli
