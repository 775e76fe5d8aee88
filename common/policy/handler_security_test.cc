#include "common/policy/handler_security.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/policy/effective_policy.h"
#include "common/policy/handler_spec.h"
#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

using testing::HasSubstr;

// As far as it is looked at here: one DER SEQUENCE.
constexpr char kCertificate[] =
    "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

v1::Handler Handler(const std::string& fields) {
  return FromText<v1::Handler>("name: 'h' endpoints: 'grpcs://h.test:1' " + fields);
}

v1::Handler WithRoots(const std::string& pem) {
  v1::Handler handler = Handler("");
  handler.mutable_tls()->set_ca_certificates(pem);
  return handler;
}

// The message; "" for OK.
std::string Problem(v1::Handler handler) {
  return std::string(NormaliseHandler(&handler).message());
}

TEST(HandlerTlsTest, IsForEndpointsThatSpeakIt) {
  EXPECT_EQ(Problem(Handler("tls {}")), "");
  EXPECT_EQ(Problem(FromText<v1::Handler>("name: 'h' endpoints: 'https://h.test' tls {}")), "");
  for (const char* endpoint : {"grpc://h.test:1", "http://h.test", "unix:/h", "http+unix:/h"}) {
    v1::Handler handler = Handler("tls {}");
    handler.set_endpoints(0, endpoint);
    EXPECT_THAT(Problem(handler), HasSubstr("tls: the endpoint \"")) << endpoint;
    handler.clear_tls();
    EXPECT_EQ(Problem(handler), "") << endpoint;
  }
  EXPECT_THAT(Problem(Handler("endpoints: 'grpc://i.test:1' tls {}")),
              HasSubstr("tls: the endpoint \"grpc://i.test:1\" speaks no TLS; write grpcs://"));
  EXPECT_THAT(Problem(FromText<v1::Handler>("name: 'h' builtin { allow_methods: 'GET' } tls {}")),
              HasSubstr("tls: a builtin asks no service"));
}

TEST(HandlerTlsTest, RootsAreCertificatesAndNothingElse) {
  v1::Handler handler = WithRoots(std::string("Subject: CN=ca\r\n") + kCertificate +
                                  "-----BEGIN CERTIFICATE-----\r\n MAMC\r\n AQE=\r\n"
                                  "-----END CERTIFICATE-----");
  ASSERT_EQ(Problem(handler), "");
  ASSERT_TRUE(NormaliseHandler(&handler).ok());
  EXPECT_EQ(handler.tls().ca_certificates(), std::string(kCertificate) + kCertificate);

  struct {
    std::string pem;
    const char* message;
  } cases[] = {
      {"ca.crt", "holds no certificate"},
      {"-----BEGIN CERTIFICATE", "holds a \"CERTIFICATE\"; give the CA's"},
      {"-----BEGIN CERTIFICATE-----", "holds a damaged certificate"},
      {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "holds a damaged certificate"},
      {"-----BEGIN CERTIFICATE-----\nMAMCAQEA\n-----END CERTIFICATE-----", "a damaged certificate"},
      {"-----BEGIN CERTIFICATE-----\n!AMCAQE=\n-----END CERTIFICATE-----", "a damaged certificate"},
      {"-----BEGIN CERTIFICATE-----\nMIQBAQEB\n-----END CERTIFICATE-----", "a damaged certificate"},
      // Would be in every agent's cache.
      {std::string(kCertificate) +
           "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----",
       "holds a \"PRIVATE KEY\"; give the CA's certificates alone"},
      {std::string(64 * 1024 + 1, 'x'), "is larger than 64 KiB"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(Problem(WithRoots(c.pem)), HasSubstr(std::string("tls.ca_certificates: ")));
    EXPECT_THAT(Problem(WithRoots(c.pem)), HasSubstr(c.message));
  }
}

TEST(HandlerTlsTest, ServerNameIsNormal) {
  v1::Handler handler = Handler("tls { server_name: 'Keys.Internal.' }");
  ASSERT_TRUE(NormaliseHandler(&handler).ok());
  EXPECT_EQ(handler.tls().server_name(), "keys.internal");
  EXPECT_EQ(Problem(Handler("tls { server_name: '2001:db8::1' }")), "");
  for (const char* bad : {"https://h", "h:1", "*.internal", "a b"}) {
    EXPECT_THAT(Problem(Handler(std::string("tls { server_name: '") + bad + "' }")),
                HasSubstr("tls.server_name: "))
        << bad;
  }
}

TEST(IdentityTokenTest, IsChecked) {
  EXPECT_EQ(Problem(Handler("identity_token {}")), "");
  EXPECT_EQ(Problem(Handler("identity_token { audience: 'https://k' ttl { seconds: 10 } }")), "");
  EXPECT_EQ(Problem(Handler("identity_token { ttl { seconds: 3600 } }")), "");
  for (const char* ttl : {"", "seconds: 9", "seconds: 3601", "seconds: 10 nanos: 1", "seconds: -10",
                          "seconds: 9223372036854775807"}) {
    EXPECT_THAT(Problem(Handler(std::string("identity_token { ttl { ") + ttl + " } }")),
                HasSubstr("identity_token.ttl: must be whole seconds from 10 s to 1 h"))
        << ttl;
  }
  v1::Handler handler = Handler("identity_token {}");
  handler.mutable_identity_token()->set_audience(std::string(255, 'a'));
  EXPECT_EQ(Problem(handler), "");
  handler.mutable_identity_token()->set_audience(std::string(256, 'a'));
  EXPECT_THAT(Problem(handler), HasSubstr("identity_token.audience: is longer than 255 bytes"));
  handler.mutable_identity_token()->set_audience("a\nb");
  EXPECT_THAT(Problem(handler), HasSubstr("identity_token.audience: has a control character"));
  EXPECT_THAT(Problem(FromText<v1::Handler>(
                  "name: 'h' builtin { allow_methods: 'GET' } identity_token {}")),
              HasSubstr("identity_token: a builtin asks no service"));
}

TEST(HandlerSecurityTest, IsParsed) {
  auto spec = HandlerSpec::FromProto(
      Handler("tls { client_certificate: true server_name: 'A.test' } identity_token {}"), 1);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->tls, (HandlerTlsSpec{"", true, "a.test"}));
  EXPECT_EQ(spec->identity_token->audience, "h");
  EXPECT_EQ(spec->identity_token->ttl, std::chrono::minutes(5));

  spec = HandlerSpec::FromProto(Handler("identity_token { audience: 'x' ttl { seconds: 60 } }"), 1);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_FALSE(spec->tls.has_value());
  EXPECT_EQ(spec->identity_token->audience, "x");
  EXPECT_EQ(spec->identity_token->ttl, std::chrono::minutes(1));
}

}  // namespace
}  // namespace sallyport
