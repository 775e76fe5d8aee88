#include "common/builtin/evaluate.h"

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

BuiltinSpec SpecOf(const std::string& text) {
  const auto spec = BuiltinSpec::FromProto(FromText<v1::Builtin>(text));
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? *spec : BuiltinSpec();
}

BuiltinRequest Request(std::string_view method, std::string_view target) {
  return {method, "http", "a.test", "a.test:8080", target};
}

// "405 method_not_allowed", "200", "302 LOCATION", "forward TARGET".
std::string Says(const std::string& builtin, std::string_view method, std::string_view target) {
  const BuiltinSpec spec = SpecOf(builtin);
  const BuiltinVerdict verdict = EvaluateBuiltin(spec, Request(method, target));
  if (const auto* refusal = std::get_if<BuiltinRefusal>(&verdict))
    return StrCat(refusal->status, " ", refusal->reason);
  if (const auto* respond = std::get_if<BuiltinRespond>(&verdict))
    return StrCat(respond->response->status);
  if (const auto* redirect = std::get_if<BuiltinRedirect>(&verdict))
    return StrCat(redirect->status, " ", redirect->location);
  return "forward " + std::get<BuiltinForward>(verdict).target;
}

TEST(EvaluateTest, Methods) {
  const std::string read_only = "allow_methods: ['GET', 'HEAD']";
  EXPECT_EQ(Says(read_only, "GET", "/"), "forward ");
  EXPECT_EQ(Says(read_only, "HEAD", "/a//b"), "forward ");
  EXPECT_EQ(Says(read_only, "POST", "/"), "405 method_not_allowed");
  EXPECT_EQ(Says(read_only, "get", "/"), "405 method_not_allowed");
}

TEST(EvaluateTest, TraceWouldGiveTheSecretBack) {
  const std::string token = "set_headers { name: 'authorization' secret { env: 'T' } }";
  EXPECT_EQ(Says(token, "TRACE", "/"), "405 method_not_allowed");
  EXPECT_EQ(Says(token, "GET", "/"), "forward ");
  EXPECT_EQ(Says("set_headers { name: 'x' value: 'y' }", "TRACE", "/"), "forward ");
}

TEST(EvaluateTest, Paths) {
  const std::string paths = "allow_paths: ['/v1/**', '/health']";
  EXPECT_EQ(Says(paths, "GET", "/v1/a/b?x=../y"), "forward ");
  EXPECT_EQ(Says(paths, "GET", "/%76%31/a"), "forward ");
  EXPECT_EQ(Says(paths, "GET", "/health"), "forward ");
  for (const char* refused :
       {"/", "/v2", "/v10", "/health/x", "/v1/../admin", "/v1/%2e%2e/admin", "/v1//admin",
        "/v1/..;/admin", "/v1/%2fadmin", "/v1\\..\\admin", "/v1/%252e%252e/admin", "*"}) {
    EXPECT_EQ(Says(paths, "GET", refused), "403 path_not_allowed") << refused;
  }
}

TEST(EvaluateTest, MethodsComeBeforePathsAndBothBeforeAnswers) {
  const std::string both = "allow_methods: 'GET' allow_paths: '/a' ";
  EXPECT_EQ(Says(both + "respond { status: 204 }", "POST", "/b"), "405 method_not_allowed");
  EXPECT_EQ(Says(both + "respond { status: 204 }", "GET", "/b"), "403 path_not_allowed");
  EXPECT_EQ(Says(both + "respond { status: 204 }", "GET", "/a"), "204");
  EXPECT_EQ(Says(both + "redirect { location: '/b' }", "GET", "/a"), "302 /b");
}

TEST(EvaluateTest, PathPrefixes) {
  const std::string strip = "strip_path_prefix: '/api' ";
  EXPECT_EQ(Says(strip, "GET", "/api/x?y"), "forward /x?y");
  EXPECT_EQ(Says(strip, "GET", "/api"), "forward /");
  EXPECT_EQ(Says(strip, "GET", "/api?y"), "forward /?y");
  EXPECT_EQ(Says(strip, "GET", "/apix"), "403 path_not_allowed");
  EXPECT_EQ(Says(strip, "GET", "/x"), "403 path_not_allowed");
  EXPECT_EQ(Says(strip, "GET", "/api/../x"), "403 path_not_allowed");
  const std::string both = strip + "add_path_prefix: '/v2'";
  EXPECT_EQ(Says(both, "GET", "/api/x"), "forward /v2/x");
  EXPECT_EQ(Says(both, "GET", "/api"), "forward /v2");
  EXPECT_EQ(Says("add_path_prefix: '/v2'", "GET", "/x?a=b"), "forward /v2/x?a=b");
  EXPECT_EQ(Says("add_path_prefix: '/v2'", "GET", "/../x"), "403 path_not_allowed");
  EXPECT_EQ(Says("add_path_prefix: '/v2'", "OPTIONS", "*"), "403 path_not_allowed");
  EXPECT_EQ(Says("add_path_prefix: '/v2'", "GET", "/" + std::string(8190, 'x')),
            "403 path_not_allowed");
}

TEST(EvaluateTest, Redirects) {
  EXPECT_EQ(Says("redirect { location: 'https://{host}{path}{query}' status: 308 }", "GET",
                 "/a%20b?c={d}"),
            "308 https://a.test/a%20b?c={d}");
  EXPECT_EQ(Says("redirect { location: '{scheme}://{authority}/x' }", "GET", "/"),
            "302 http://a.test:8080/x");
}

TEST(EvaluateTest, WrapsSecrets) {
  const auto wrap = [](const std::string& fields) {
    return SpecOf("set_headers { name: 'a' secret { env: 'T' } " + fields + " }")
        .set_headers[0]
        .Wrap("s3cret");
  };
  EXPECT_EQ(wrap(""), "s3cret");
  EXPECT_EQ(wrap("prefix: 'Bearer '"), "Bearer s3cret");
  EXPECT_EQ(wrap("basic_user: 'me'"), "Basic bWU6czNjcmV0");
  EXPECT_EQ(wrap("basic_user: ''"), "Basic OnMzY3JldA==");
  EXPECT_EQ(wrap("base64: true prefix: 'x '"), "x czNjcmV0");
}

TEST(EvaluateTest, Describes) {
  const BuiltinSpec spec = SpecOf(
      "authority: 'in.test:8443' scheme: 'https' remove_headers: 'cookie' "
      "set_headers { name: 'Authorization' secret { file: 'gh' } } "
      "rate_limit { requests_per_second: 0.5 }");
  EXPECT_EQ(DescribeVerdict(spec, Request("GET", "/x?y")),
            "forwards to https://in.test:8443/x?y, with authorization from file gh, without "
            "cookie; at most 0.5 a second, 1 at once");
  EXPECT_EQ(DescribeVerdict(SpecOf("allow_methods: 'GET'"), Request("PUT", "/")),
            "answers 405 method_not_allowed: only GET is allowed");
}

}  // namespace
}  // namespace sallyport
