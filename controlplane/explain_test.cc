// The call Explain, over a real socket and the real store.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    v1::ContainerClass web;
    web.set_name("web");
    web.mutable_allowed_hosts()->add_hosts("*.example.com");
    v1::HostRule& rule = *web.add_outbound_by_host();
    rule.set_host("api.example.com");
    rule.mutable_handler()->set_handler("kv");
    class_revision_ = server_.ApplyClass(web);
    server_.CreateContainer("web-1", "web");
  }

  static v1::ExplainRequest OfContainer(const std::string& url) {
    v1::ExplainRequest request;
    request.set_container_id("web-1");
    request.set_url(url);
    return request;
  }
  static v1::ExplainRequest OfClass(const std::string& url) {
    v1::ExplainRequest request = OfContainer(url);
    request.set_class_name("web");
    return request;
  }
  v1::ExplainResponse Explain(const v1::ExplainRequest& request) {
    v1::ExplainResponse response;
    const grpc::Status status =
        Call(server_.policy(), &v1::OutboundPolicy::Stub::Explain, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  void ExpectRefused(const v1::ExplainRequest& request, StatusCode code, const char* message) {
    v1::ExplainResponse response;
    const grpc::Status status =
        Call(server_.policy(), &v1::OutboundPolicy::Stub::Explain, request, &response);
    EXPECT_EQ(status.error_code(), code) << request.url();
    EXPECT_THAT(status.error_message(), HasSubstr(message)) << request.url();
  }
  static const v1::ExplainStep* Deciding(const v1::ExplainResponse& response) {
    for (const v1::ExplainStep& step : response.steps()) {
      if (step.decides()) return &step;
    }
    return nullptr;
  }

  TestServer server_;
  uint64_t class_revision_ = 0;
};

TEST_F(ExplainTest, SaysWhichStepAndRuleDecide) {
  const v1::ExplainResponse response = Explain(OfContainer("http://API.example.com.:8080/x?y"));
  EXPECT_EQ(response.host(), "api.example.com");
  EXPECT_EQ(response.port(), 8080u);
  EXPECT_EQ(response.decision(), "relay");

  const v1::ExplainResponse handled = Explain(OfContainer("http://api.example.com/"));
  EXPECT_EQ(handled.decision(), "handler");
  EXPECT_EQ(handled.rule(), "class outbound_by_host api.example.com");
  EXPECT_EQ(handled.handler().handler(), "kv");
  EXPECT_FALSE(handled.handler_registered());
  ASSERT_EQ(handled.steps_size(), 11);
  ASSERT_NE(Deciding(handled), nullptr);
  EXPECT_EQ(Deciding(handled)->number(), 4u);
  EXPECT_EQ(handled.steps(1).rule(), "class allowed_hosts *.example.com");
  EXPECT_EQ(handled.steps(1).outcome(), v1::ExplainStep::PASSES);
  EXPECT_EQ(handled.steps(9).outcome(), v1::ExplainStep::DENIES);
  EXPECT_EQ(handled.steps(9).reason(), "no_internet");

  server_.RegisterHandler("kv");
  EXPECT_TRUE(Explain(OfContainer("http://api.example.com/")).handler_registered());

  const v1::ExplainResponse denied = Explain(OfContainer("http://evil.test/"));
  EXPECT_EQ(denied.decision(), "deny");
  EXPECT_EQ(denied.reason(), "not_allowed");
  EXPECT_EQ(Deciding(denied)->number(), 2u);
}

TEST_F(ExplainTest, HttpsSaysWhetherItIsDecrypted) {
  const v1::ExplainResponse response = Explain(OfContainer("https://api.example.com"));
  EXPECT_EQ(response.decision(), "relay");
  EXPECT_EQ(response.port(), 443u);
  EXPECT_FALSE(response.decrypted());
}

TEST_F(ExplainTest, AddressesThatAreGivenAreChecked) {
  v1::ExplainRequest request = OfContainer("http://b.example.com/");
  request.add_resolved("10.0.0.1");
  EXPECT_EQ(Explain(request).reason(), "forbidden_address");
  request.add_resolved("2001:db8::1");
  EXPECT_EQ(Explain(request).decision(), "egress");
}

TEST_F(ExplainTest, MonitorMode) {
  v1::ContainerClass watched;
  watched.set_name("watched");
  watched.set_monitor(true);
  watched.mutable_denied_hosts()->add_hosts("evil.test");
  server_.ApplyClass(watched);
  v1::ExplainRequest request = OfClass("http://evil.test/");
  request.set_class_name("watched");
  const v1::ExplainResponse response = Explain(request);
  EXPECT_EQ(response.decision(), "egress");
  EXPECT_EQ(response.would_deny(), "denied_host");
  EXPECT_EQ(response.steps(0).outcome(), v1::ExplainStep::DENIES);
  EXPECT_FALSE(response.steps(0).decides());
}

TEST_F(ExplainTest, Revisions) {
  EXPECT_EQ(Explain(OfClass("http://x.example.com/")).stored_revision(), class_revision_);
  EXPECT_EQ(Explain(OfClass("http://x.example.com/")).enforced_revision(), 0u);
  EXPECT_EQ(Explain(OfContainer("http://x.example.com/")).enforced_revision(), 0u);
  const uint64_t stored = Explain(OfContainer("http://x.example.com/")).stored_revision();
  EXPECT_EQ(stored, server_.GetContainer("web-1").stored_revision());

  FakeAgent agent(server_.channel(), FakeAgent::Hello("h1", {{"web-1", "web"}}),
                  FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent.WaitToHave(ResourceId::Container("web-1"), stored));
  v1::ContainerClass web;
  web.set_name("web");
  v1::ApplyClassRequest apply;
  *apply.mutable_class_() = web;
  *apply.mutable_options() = WaitEnforced(std::chrono::seconds(10));
  v1::ApplyClassResponse applied;
  ASSERT_TRUE(Call(server_.policy(), &v1::OutboundPolicy::Stub::ApplyClass, apply, &applied).ok());
  const v1::ExplainResponse response = Explain(OfContainer("http://evil.test/"));
  EXPECT_EQ(response.decision(), "egress");
  EXPECT_EQ(response.stored_revision(), applied.result().revision());
  EXPECT_GE(response.enforced_revision(), applied.result().revision());
}

TEST_F(ExplainTest, WrongRequestsAreTaught) {
  struct {
    const char* url;
    const char* message;
  } const cases[] = {
      {"", "url: \"\" is empty"},
      {"example.com", "write http://HOST/"},
      {"HTTP://example.com", "write http://HOST/"},
      {"ftp://example.com/", "write http://HOST/"},
      {"http://user@example.com/", "user info"},
      {"http://example.com/#x", "fragment"},
      {"http://ex ample.com/", "white space"},
      {"http://0x7f.1/", "illegal host"},
      {"http://[example.com]/", "brackets"},
      {"http://example.com:0/", "illegal port"},
      {"http://example.com:+80/", "illegal port"},
      {"tcp://203.0.113.1", "write tcp://203.0.113.1:PORT"},
      {"tcp://db.test:5432", "has a name"},
      {"tcp://203.0.113.1:22/path", "has a path"},
  };
  for (const auto& c : cases) {
    ExpectRefused(OfContainer(c.url), StatusCode::INVALID_ARGUMENT, c.message);
  }
  v1::ExplainRequest request = OfContainer("http://example.com/");
  request.set_dialled("1.2.3");
  ExpectRefused(request, StatusCode::INVALID_ARGUMENT, "dialled: ");
  request = OfContainer("http://example.com/");
  request.add_resolved("203.0.113.1");
  request.add_resolved("name");
  ExpectRefused(request, StatusCode::INVALID_ARGUMENT, "resolved[1]: ");
  request = OfContainer("http://example.com/");
  request.set_method("GE T");
  ExpectRefused(request, StatusCode::INVALID_ARGUMENT, "method: ");
  request.clear_subject();
  request.clear_method();
  ExpectRefused(request, StatusCode::INVALID_ARGUMENT, "neither a container nor a class");
  request.set_container_id("nobody");
  ExpectRefused(request, StatusCode::NOT_FOUND, "nobody");
  request.set_class_name("no-class");
  ExpectRefused(request, StatusCode::NOT_FOUND, "no-class");
}

}  // namespace
}  // namespace sallyport
