// What is written reads back as the same, whatever the policy holds.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "cli/policy/policy_file.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"

namespace sallyport::cli {
namespace {

using google::protobuf::Message;
using google::protobuf::Struct;
using google::protobuf::Value;

// Random policies that the control plane takes.
class Policies {
 public:
  explicit Policies(uint32_t seed) : random_(seed) {}

  bool Coin() { return random_() % 2 == 0; }
  uint32_t Below(uint32_t limit) { return random_() % limit; }

  std::string Text() {
    static const char* const kTexts[] = {"",     "text/plain", "no",         "1.50", "caf\xc3\xa9",
                                         "a\nb", " a: b #c",   "\xc2\x85\t", "\"\\", "~"};
    return kTexts[Below(std::size(kTexts))];
  }
  std::string Name(const char* stem) { return StrCat(stem, "-", Below(50)); }
  std::string Host() {
    static const char* const kEnds[] = {".example.com", ".test", ".no", ".k.v", "-x.dev"};
    switch (Below(5)) {
      case 0:
        return StrCat("203.0.113.", Below(256));
      case 1:
        return StrCat("10.", Below(256), ".0.0/16");
      case 2:
        return StrCat("2001:db8:", absl::Hex(Below(4000) + 1), "::/48");
      case 3:
        return StrCat("*.h", Below(1000), kEnds[Below(5)]);
      default:
        return StrCat("h", Below(1000), kEnds[Below(5)]);
    }
  }

  Value AnyValue(int depth) {
    Value value;
    switch (Below(depth > 3 ? 4 : 6)) {
      case 0:
        value.set_null_value(google::protobuf::NULL_VALUE);
        break;
      case 1:
        value.set_bool_value(Coin());
        break;
      case 2:
        value.set_number_value(Number());
        break;
      case 3:
        value.set_string_value(Text());
        break;
      case 4:
        value.mutable_list_value();
        for (uint32_t i = Below(3); i > 0; --i)
          *value.mutable_list_value()->add_values() = AnyValue(depth + 1);
        break;
      default:
        *value.mutable_struct_value() = Params(depth + 1);
    }
    return value;
  }
  double Number() {
    switch (Below(4)) {
      case 0:
        return static_cast<int32_t>(random_());
      case 1:
        return static_cast<double>(random_()) * 0x1p33;
      case 2:
        return static_cast<double>(random_()) / 3e9;
      default:
        return static_cast<double>(random_()) * -1e250;
    }
  }
  Struct Params(int depth) {
    Struct params;
    for (uint32_t i = Below(3); i > 0; --i) (*params.mutable_fields())[Text()] = AnyValue(depth);
    return params;
  }
  void Reference(v1::HandlerReference* reference) {
    reference->set_handler(Name("handler"));
    if (Coin()) *reference->mutable_params() = Params(0);
  }
  template <typename Texts>
  void Hosts(Texts* into) {
    for (uint32_t i = Below(4); i > 0; --i) *into->Add() = Host();
  }
  void Rules(google::protobuf::RepeatedPtrField<v1::HostRule>* rules) {
    std::set<std::string> used;
    for (uint32_t i = Below(4); i > 0; --i) {
      const std::string host = Host();
      if (!used.insert(host).second) continue;
      v1::HostRule* rule = rules->Add();
      rule->set_host(host);
      Reference(rule->mutable_handler());
    }
  }
  void Override(v1::HostListOverride* list) {
    if (Coin()) {
      Hosts(list->mutable_replace()->mutable_hosts());
    } else {
      Hosts(list->mutable_added());
      Hosts(list->mutable_removed());
    }
  }

  void Reference(v1::SecretReference* reference) {
    switch (Below(3)) {
      case 0:
        return reference->set_file(Coin() ? "git: #hub" : "/etc/sallyport/secrets/no");
      case 1:
        return reference->set_env("TOKEN");
      default:
        return reference->set_secret("git.hub");
    }
  }
  void SetHeader(v1::SetHeader* header) {
    if (Coin()) return header->set_value(Coin() ? "" : "no: #1");
    Reference(header->mutable_secret());
    if (Coin()) return header->set_basic_user(Coin() ? "" : "me");
    if (Coin()) header->set_prefix("Bearer ");
    header->set_base64(Coin());
  }
  // What answers by itself, and what changes the request.
  v1::Builtin Builtin() {
    v1::Builtin builtin;
    builtin.add_allow_methods("GET");
    if (Coin()) builtin.add_allow_methods("NO");
    if (Coin()) builtin.add_allow_paths("/*/a: b/**");
    if (Coin()) {
      builtin.mutable_rate_limit()->set_requests_per_second((Below(5000) + 1) / 1e3);
      if (Coin()) builtin.mutable_rate_limit()->set_burst(Below(9) + 1);
    }
    switch (Below(3)) {
      case 0:
        if (Coin()) builtin.mutable_respond()->set_status(200 + Below(3));
        builtin.mutable_respond()->set_body(Text());
        for (uint32_t i = Below(3); i > 0; --i) {
          v1::ResponseHeader* const header = builtin.mutable_respond()->add_headers();
          header->set_name(StrCat("x-", i));
          header->set_value(Coin() ? "" : "1.50");
        }
        break;
      case 1:
        builtin.mutable_redirect()->set_location("https://{host}{path}");
        if (Coin()) builtin.mutable_redirect()->set_status(307);
        break;
      default:
        for (uint32_t i = Below(3); i > 0; --i) {
          v1::SetHeader* const header = builtin.add_set_headers();
          header->set_name(i == 1 ? "no" : "x-b");
          SetHeader(header);
        }
        if (Coin()) builtin.add_remove_headers("~");
        if (Coin()) builtin.set_authority("in.test:8443");
        if (Coin()) builtin.set_scheme("https");
        if (Coin()) builtin.set_strip_path_prefix("/no");
        if (Coin()) builtin.set_add_path_prefix("/v2");
    }
    return builtin;
  }

  v1::HandlerTls Tls() {
    v1::HandlerTls tls;
    if (Coin()) {
      tls.set_ca_certificates("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    }
    tls.set_client_certificate(Coin());
    if (Coin()) tls.set_server_name(StrCat("s", Below(9), ".no"));
    return tls;
  }
  v1::IdentityToken IdentityToken() {
    v1::IdentityToken token;
    if (Coin()) token.set_audience(StrCat("https://no-", Below(9)));
    if (Coin()) token.mutable_ttl()->set_seconds(10 + Below(3591));
    return token;
  }

  v1::Handler Handler() {
    v1::Handler handler;
    handler.set_name(Name("handler"));
    if (Coin()) {
      *handler.mutable_builtin() = Builtin();
      return handler;
    }
    const bool web = Coin();
    if (Coin()) {
      handler.add_endpoints(StrCat(web ? "https" : "grpcs", "://h.test:", 7000 + Below(9)));
      *handler.mutable_tls() = Tls();
    }
    if (Coin()) *handler.mutable_identity_token() = IdentityToken();
    for (uint32_t i = handler.has_tls() ? 0 : Below(4); i > 0; --i) {
      handler.add_endpoints(Coin() ? StrCat(web ? "http" : "grpc", "://127.0.0.1:", 7000 + i)
                                   : StrCat(web ? "http+unix" : "unix", ":/run/h", i));
    }
    if (Coin()) handler.mutable_connect_timeout()->set_seconds(Below(60) + 1);
    if (!web && Coin()) {
      v1::HealthCheck& check = *handler.mutable_health_check();
      if (Coin()) check.set_service("a.b/~");
      check.mutable_interval()->set_seconds(Below(60) + 1);
      check.mutable_timeout()->set_nanos(static_cast<int>(Below(999) + 1) * 1'000'000);
    }
    handler.set_retries(Below(6));
    handler.set_max_concurrency(Below(3) * 100);
    if (Coin()) handler.mutable_timeout()->set_nanos(static_cast<int>(Below(999) + 1) * 1'000'000);
    if (Coin())
      handler.mutable_timeout()->set_seconds(Below(600) + (handler.has_timeout() ? 0 : 1));
    if (handler.has_timeout() && handler.timeout().seconds() + handler.timeout().nanos() == 0)
      handler.clear_timeout();
    handler.set_on_failure(Coin() ? v1::Handler::ON_FAILURE_DENY : v1::Handler::ON_FAILURE_EGRESS);
    if (handler.on_failure() == v1::Handler::ON_FAILURE_DENY) handler.set_holds_secrets(Coin());
    return handler;
  }

  v1::ContainerClass Class() {
    v1::ContainerClass value;
    value.set_name(Name("class"));
    if (Coin()) value.set_enable_internet(Coin());
    if (Coin()) value.set_intercept_https(Coin());
    if (Coin()) value.set_monitor(Coin());
    if (Coin()) Hosts(value.mutable_allowed_hosts()->mutable_hosts());
    if (Coin()) Hosts(value.mutable_denied_hosts()->mutable_hosts());
    Rules(value.mutable_outbound_by_host());
    if (Coin()) Reference(value.mutable_outbound());
    if (Coin()) value.mutable_outbound_handlers();
    if (Coin()) value.mutable_outbound_handlers()->add_names(Name("handler"));
    Hosts(value.mutable_tls_passthrough_hosts());
    if (Coin()) value.mutable_deny_response();
    if (Coin()) value.mutable_deny_response()->set_status(400 + Below(200));
    if (Coin()) value.mutable_deny_response()->set_content_type(Coin() ? "text/html" : "no");
    if (Coin()) value.mutable_deny_response()->set_body(Text());
    for (uint32_t i = Below(3); i > 0; --i) value.add_http_ports(8000 + i);
    return value;
  }

  v1::ContainerPolicy Container() {
    v1::ContainerPolicy container;
    container.set_container_id(Name("web:1"));
    container.set_class_name(Name("class"));
    if (Coin()) container.set_enable_internet(Coin());
    if (Coin()) Override(container.mutable_allowed_hosts());
    if (Coin()) Override(container.mutable_denied_hosts());
    Rules(container.mutable_outbound_by_host());
    if (Coin()) Reference(container.mutable_outbound());
    std::set<std::string> used;
    for (uint32_t i = Below(3); i > 0; --i) {
      const std::string target = Coin() ? "*" : Host();
      if (!used.insert(target).second) continue;
      v1::InterceptRule* rule = container.add_intercepts();
      rule->set_scheme(Coin() ? v1::InterceptRule::SCHEME_HTTP : v1::InterceptRule::SCHEME_HTTPS);
      rule->set_target(target);
      Reference(rule->mutable_handler());
    }
    return container;
  }

 private:
  std::mt19937 random_;
};

// Names of all fields that are set somewhere inside.
void NoteFields(const Message& message, std::set<std::string>* fields) {
  std::vector<const google::protobuf::FieldDescriptor*> set;
  message.GetReflection()->ListFields(message, &set);
  for (const auto* field : set) {
    fields->insert(field->full_name());
    if (field->message_type() == nullptr || field->is_map()) continue;
    const int count = field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      NoteFields(field->is_repeated()
                     ? message.GetReflection()->GetRepeatedMessage(message, field, i)
                     : message.GetReflection()->GetMessage(message, field),
                 fields);
    }
  }
}

void ExpectSame(const Message& read, const Message& written, const std::string& text) {
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(read, written))
      << written.DebugString() << "\nread back as\n"
      << read.DebugString() << "\nfrom\n"
      << text;
}

TEST(RoundTripTest, WhatIsWrittenReadsBackAsTheSame) {
  std::set<std::string> fields;
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    Policies policies(seed);
    v1::Handler handler = policies.Handler();
    v1::ContainerClass value = policies.Class();
    v1::ContainerPolicy container = policies.Container();
    ASSERT_TRUE(NormaliseHandler(&handler).ok() && NormaliseClass(&value).ok() &&
                NormaliseContainer(&container).ok())
        << handler.DebugString() << value.DebugString() << container.DebugString();
    const std::string text =
        yaml::Print(PolicyToYaml(std::vector{handler}, std::vector{value}, std::vector{container}));
    const absl::StatusOr<PolicyFile> file = ParsePolicyFile(text, "export.yaml");
    ASSERT_TRUE(file.ok()) << file.status() << "\n" << text;
    ASSERT_EQ(file->containers.size(), 1u) << text;
    ExpectSame(file->handlers[0].value, handler, text);
    ExpectSame(file->classes[0].value, value, text);
    ExpectSame(file->containers[0].value, container, text);
    if (HasFailure()) return;
    for (const Message* message :
         std::initializer_list<const Message*>{&handler, &value, &container})
      NoteFields(*message, &fields);
  }
  // A field that policy.proto or builtin.proto gains has to be added to the file's format, and
  // above.
  for (const auto* proto :
       {v1::ContainerClass::descriptor()->file(), v1::Builtin::descriptor()->file()}) {
    for (int i = 0; i < proto->message_type_count(); ++i) {
      const auto* message = proto->message_type(i);
      // In no file: services register themselves.
      if (message == v1::Secret::descriptor() || message == v1::LiveEndpoint::descriptor())
        continue;
      for (int j = 0; j < message->field_count(); ++j) {
        const std::string& name = message->field(j)->full_name();
        // The control plane's own.
        if (name == "sallyport.v1.Handler.lease_epoch" ||
            name == "sallyport.v1.Handler.live_endpoints") {
          continue;
        }
        EXPECT_TRUE(fields.contains(name)) << name;
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::cli
