#include "common/builtin/normalise_builtin.h"

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

struct Case {
  std::string builtin;
  std::string problem;  // Begins so.
};

TEST(NormaliseBuiltinTest, SaysWhereAndWhatToWrite) {
  const Case kCases[] = {
      {"", "builtin: does nothing; write what it is to do"},
      {"allow_methods: 'get'", "builtin.allow_methods[0]: \"get\" is matched as it is; write GET"},
      {"allow_methods: ['GET', 'A B']", "builtin.allow_methods[1]: \"A B\" is not a method"},
      {"allow_methods: 'CONNECT'", "builtin.allow_methods[0]: CONNECT reaches no handler"},
      {"allow_paths: ['/a', 'b']", "builtin.allow_paths[1]: \"b\" does not begin with `/`"},
      {"set_headers { name: 'a b' value: 'c' }", "builtin.set_headers[0].name: \"a b\" is not a"},
      {"set_headers { name: 'Host' value: 'c' }", "builtin.set_headers[0].name: host is where"},
      {"set_headers { name: 'TE' value: 'c' }", "builtin.set_headers[0].name: te belongs to the"},
      {"set_headers { name: 'Sallyport-X' value: 'c' }",
       "builtin.set_headers[0].name: headers that"},
      {"set_headers { name: 'Content-Length' value: '1' }",
       "builtin.set_headers[0].name: the proxy"},
      {"set_headers { name: 'a' value: 'b' } set_headers { name: 'A' value: 'c' }",
       "builtin.set_headers[1].name: a is there already"},
      {"set_headers { name: 'a' }", "builtin.set_headers[0]: has no value"},
      {"set_headers { name: 'a' value: 'b\\r\\nc: d' }", "builtin.set_headers[0].value: has white"},
      {"set_headers { name: 'a' value: 'b' prefix: 'c' }", "builtin.set_headers[0]: prefix, basic"},
      {"set_headers { name: 'a' secret {} }", "builtin.set_headers[0].secret: names no secret"},
      {"set_headers { name: 'a' secret { file: '' } }",
       "builtin.set_headers[0].secret.file: \"\" is"},
      {"set_headers { name: 'a' secret { env: 'A-B' } }",
       "builtin.set_headers[0].secret.env: \"A-B\""},
      {"set_headers { name: 'a' secret { secret: 'a b' } }",
       "builtin.set_headers[0].secret.secret: \"a b\" is not a secret's name"},
      {"set_headers { name: 'a' secret { env: 'A' } basic_user: 'a:b' }",
       "builtin.set_headers[0].basic_user: has a colon"},
      {"set_headers { name: 'a' secret { env: 'A' } basic_user: 'a' base64: true }",
       "builtin.set_headers[0].basic_user: says how"},
      {"set_headers { name: 'a' secret { env: 'A' } prefix: 'a\\n' }",
       "builtin.set_headers[0].prefix: is no beginning"},
      {"remove_headers: ['ok', 'a:']", "builtin.remove_headers[1]: \"a:\" is not a header's name"},
      {"authority: 'http://x'", "builtin.authority: \"http://x\" has an "},
      {"scheme: 'http'", "builtin.scheme: \"http\" is not to be had; write https"},
      {"strip_path_prefix: 'api'", "builtin.strip_path_prefix: \"api\" has no slash"},
      {"strip_path_prefix: '/api/'", "builtin.strip_path_prefix: \"/api/\" ends with `/`"},
      {"add_path_prefix: '/a/../b'", "builtin.add_path_prefix: \"/a/../b\" has a dot segment"},
      {"add_path_prefix: '/a?b'", "builtin.add_path_prefix: \"/a?b\" is not a path"},
      {"respond { status: 101 }", "builtin.respond.status: must be 200 to 599"},
      {"respond { status: 204 body: 'x' }", "builtin.respond.body: an answer 204 has none"},
      {"respond { headers { name: 'a' value: '\\n' } }", "builtin.respond.headers[0].value: has"},
      {"respond {} redirect { location: '/' }", "builtin.redirect: respond answers already"},
      {"respond {} scheme: 'https'", "builtin.respond: no request is sent on"},
      {"redirect { location: '/' } remove_headers: 'a'", "builtin.redirect: no request is sent on"},
      {"redirect { location: 'a' }", "builtin.redirect.location: \"a\" is no URL"},
      {"redirect { location: '//a' }", "builtin.redirect.location: \"//a\" is no URL"},
      {"redirect { location: '/{x}' }", "builtin.redirect.location: \"/{x}\" has {x}; there are"},
      {"redirect { location: '/{' }", "builtin.redirect.location: \"/{\" has a brace"},
      {"redirect { location: '/' status: 200 }", "builtin.redirect.status: must be 301"},
      {"rate_limit {}", "builtin.rate_limit.requests_per_second: must be 0.001"},
      {"rate_limit { requests_per_second: nan }",
       "builtin.rate_limit.requests_per_second: must be"},
      {"rate_limit { requests_per_second: 1 burst: 1000001 }", "builtin.rate_limit.burst: must be"},
  };
  for (const Case& one : kCases) {
    v1::Builtin builtin = FromText<v1::Builtin>(one.builtin);
    Problems problems;
    NormaliseBuiltin("builtin", &builtin, &problems);
    ASSERT_EQ(problems.count(), 1u) << one.builtin << "\n" << problems.ToStatus();
    const std::string text = StrCat(problems.first()[0].path, ": ", problems.first()[0].message);
    EXPECT_TRUE(text.starts_with(one.problem)) << text << "\nbegins not with\n" << one.problem;
  }
}

TEST(NormaliseBuiltinTest, BringsToCanonicalFormOnce) {
  v1::Builtin builtin = FromText<v1::Builtin>(
      "allow_methods: ['GET', 'HEAD', 'GET'] allow_paths: ['/a', '/a'] authority: 'IN.Test.:8443' "
      "set_headers { name: 'X-Team' value: 'core' } remove_headers: ['Cookie', 'cookie']");
  Problems problems;
  NormaliseBuiltin("builtin", &builtin, &problems);
  EXPECT_TRUE(problems.empty()) << problems.ToStatus();
  const v1::Builtin expected = FromText<v1::Builtin>(
      "allow_methods: ['GET', 'HEAD'] allow_paths: '/a' authority: 'in.test:8443' "
      "set_headers { name: 'x-team' value: 'core' } remove_headers: 'cookie'");
  EXPECT_EQ(builtin.SerializeAsString(), expected.SerializeAsString()) << builtin.DebugString();
  NormaliseBuiltin("builtin", &builtin, &problems);
  EXPECT_EQ(builtin.SerializeAsString(), expected.SerializeAsString());
}

TEST(NormaliseBuiltinTest, AHandlerIsBuiltInOrAService) {
  const auto problem = [](const std::string& fields) {
    v1::Handler handler = FromText<v1::Handler>("name: 'h' builtin { scheme: 'https' } " + fields);
    return std::string(NormaliseHandler(&handler).message());
  };
  EXPECT_EQ(problem(""), "");
  EXPECT_EQ(problem("endpoints: 'grpc://a:1'"),
            "endpoints: a builtin asks no service; leave out one of the two");
  EXPECT_EQ(problem("timeout { seconds: 1 }"), "timeout: a builtin waits for nobody; leave it out");
  EXPECT_EQ(problem("on_failure: ON_FAILURE_EGRESS"),
            "on_failure: a builtin never fails open; write ON_FAILURE_DENY");
}

}  // namespace
}  // namespace sallyport
