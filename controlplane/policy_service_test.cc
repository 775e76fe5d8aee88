// The calls of OutboundPolicy and HandlerRegistry over a real socket and the real store, with no
// agent.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/strings.h"
#include "common/cases/case_reader.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;
using Registry = v1::HandlerRegistry::Stub;

class PolicyServiceTest : public testing::Test {
 protected:
  PolicyServiceTest() {
    server_.ApplyClass("web");
    server_.CreateContainer("web-1", "web");
    server_.RegisterHandler("kv");
  }

  template <typename Method, typename Request>
  grpc::Status Mutate(Method method, const Request& request) {
    return Call(server_.policy(), method, request, &result_);
  }
  template <typename Method>
  grpc::Status OnHost(Method method, const std::string& host, const std::string& id = "web-1") {
    v1::HostRequest request;
    request.set_container_id(id);
    request.set_host(host);
    return Mutate(method, request);
  }
  template <typename Method>
  grpc::Status OnHosts(Method method, const std::vector<std::string>& hosts) {
    v1::HostsRequest request;
    request.set_container_id("web-1");
    for (const std::string& host : hosts) request.add_hosts(host);
    return Mutate(method, request);
  }
  template <typename Method>
  grpc::Status OnContainer(Method method) {
    v1::ContainerRequest request;
    request.set_container_id("web-1");
    return Mutate(method, request);
  }
  grpc::Status SetRule(const std::string& host, const std::string& handler) {
    v1::SetOutboundByHostRequest request;
    request.set_container_id("web-1");
    request.set_host(host);
    request.set_handler(handler);
    return Mutate(&Policy::SetOutboundByHost, request);
  }
  grpc::Status TryApply(const v1::ContainerClass& value) {
    v1::ApplyClassRequest request;
    *request.mutable_class_() = value;
    return Call(server_.policy(), &Policy::ApplyClass, request, &applied_);
  }
  std::vector<std::string> Allowed() {
    const v1::ContainerStatus status = server_.GetContainer("web-1");
    return {status.effective_allowed_hosts().hosts().begin(),
            status.effective_allowed_hosts().hosts().end()};
  }

  TestServer server_;
  v1::MutationResult result_;
  v1::ApplyClassResponse applied_;
};

TEST_F(PolicyServiceTest, AppliedClassIsNormalisedAndReadBack) {
  v1::ContainerClass value;
  value.set_name("agent");
  value.mutable_denied_hosts()->add_hosts("BAD.com.");
  ASSERT_TRUE(TryApply(value).ok());
  EXPECT_EQ(applied_.class_().denied_hosts().hosts(0), "bad.com");
  EXPECT_EQ(applied_.result().enforcement(), v1::MutationResult::NOT_ATTACHED);

  v1::GetClassRequest request;
  request.set_name("agent");
  v1::GetClassResponse response;
  ASSERT_TRUE(Call(server_.policy(), &Policy::GetClass, request, &response).ok());
  EXPECT_EQ(response.class_().denied_hosts().hosts(0), "bad.com");
  EXPECT_EQ(response.revision(), applied_.result().revision());
}

TEST_F(PolicyServiceTest, ClassThatNothingChangesKeepsItsRevision) {
  const uint64_t revision = server_.ApplyClass("web");
  EXPECT_EQ(server_.ApplyClass("web"), revision);
}

TEST_F(PolicyServiceTest, ClassWarnings) {
  v1::ContainerClass value;
  value.set_name("agent");
  value.mutable_allowed_hosts()->add_hosts("good.*");
  value.mutable_allowed_hosts()->add_hosts("*");
  value.mutable_outbound()->set_handler("nope");
  ASSERT_TRUE(TryApply(value).ok());
  EXPECT_THAT(applied_.warnings(),
              ElementsAre(HasSubstr("class.allowed_hosts[0]: \"good.*\" crosses a public suffix"),
                          HasSubstr("class.outbound: handler \"nope\" is not registered")));
}

TEST_F(PolicyServiceTest, WrongClassNamesTheField) {
  v1::ContainerClass value;
  value.set_name("agent");
  value.mutable_allowed_hosts()->add_hosts("fine.com");
  value.mutable_allowed_hosts()->add_hosts("https://x.com/");
  const grpc::Status status = TryApply(value);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("class.allowed_hosts[1]"));
  EXPECT_EQ(TryApply(v1::ContainerClass()).error_code(), StatusCode::INVALID_ARGUMENT);
}

// Cases whose class or call is refused: the code is the case's, and nothing is stored.
TEST_F(PolicyServiceTest, ConformanceRejections) {
  const auto loaded = cases::LoadCases("tests/conformance/cases.json");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  int rejected = 0;
  for (const cases::Case& one : *loaded) {
    if (one.expect.outcome != "class_rejected") continue;
    ++rejected;
    EXPECT_EQ(one.expect.code, "INVALID_ARGUMENT");
    const grpc::Status status = TryApply(one.container_class);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << one.id;
    v1::GetClassRequest request;
    request.set_name(one.container_class.name());
    v1::GetClassResponse response;
    EXPECT_EQ(Call(server_.policy(), &Policy::GetClass, request, &response).error_code(),
              StatusCode::NOT_FOUND);
  }
  EXPECT_GT(rejected, 0);
}

TEST_F(PolicyServiceTest, UnknownClassNamesThoseThereAre) {
  v1::CreateContainerRequest request;
  request.set_container_id("x");
  request.set_class_name("wbe");
  v1::CreateContainerResponse response;
  const grpc::Status status = Call(server_.policy(), &Policy::CreateContainer, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "there is no class \"wbe\"; there are: web");
}

TEST_F(PolicyServiceTest, CreateContainerTwice) {
  server_.ApplyClass("other");
  const uint64_t revision = server_.GetContainer("web-1").stored_revision();
  EXPECT_LE(server_.CreateContainer("web-1", "web"), revision);
  v1::CreateContainerRequest request;
  request.set_container_id("web-1");
  request.set_class_name("other");
  v1::CreateContainerResponse response;
  EXPECT_EQ(Call(server_.policy(), &Policy::CreateContainer, request, &response).error_code(),
            StatusCode::ALREADY_EXISTS);
}

TEST_F(PolicyServiceTest, ListsAreSortedAndFiltered) {
  server_.ApplyClass("batch");
  server_.CreateContainer("b-1", "batch");
  server_.CreateContainer("a-1", "batch");
  v1::ListContainersRequest request;
  v1::ListContainersResponse response;
  ASSERT_TRUE(Call(server_.policy(), &Policy::ListContainers, request, &response).ok());
  ASSERT_EQ(response.containers_size(), 3);
  EXPECT_EQ(response.containers(0).policy().container_id(), "a-1");
  request.set_class_name("web");
  ASSERT_TRUE(Call(server_.policy(), &Policy::ListContainers, request, &response).ok());
  ASSERT_EQ(response.containers_size(), 1);

  v1::ListClassesResponse classes;
  ASSERT_TRUE(Call(server_.policy(), &Policy::ListClasses, {}, &classes).ok());
  ASSERT_EQ(classes.classes_size(), 2);
  EXPECT_EQ(classes.classes(0).name(), "batch");
}

TEST_F(PolicyServiceTest, DeleteClassOnlyWithoutContainers) {
  v1::DeleteClassRequest request;
  request.set_name("web");
  v1::DeleteClassResponse response;
  const grpc::Status used = Call(server_.policy(), &Policy::DeleteClass, request, &response);
  EXPECT_EQ(used.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(used.error_message(), HasSubstr("web-1"));

  v1::DeleteContainerRequest container;
  container.set_container_id("web-1");
  v1::DeleteContainerResponse deleted;
  ASSERT_TRUE(Call(server_.policy(), &Policy::DeleteContainer, container, &deleted).ok());
  ASSERT_TRUE(Call(server_.policy(), &Policy::DeleteContainer, container, &deleted).ok());
  EXPECT_TRUE(Call(server_.policy(), &Policy::DeleteClass, request, &response).ok());
  EXPECT_EQ(Call(server_.policy(), &Policy::DeleteClass, request, &response).error_code(),
            StatusCode::NOT_FOUND);
}

TEST_F(PolicyServiceTest, RulesByHost) {
  ASSERT_TRUE(SetRule("API.test.", "kv").ok());
  const uint64_t revision = result_.revision();
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host(0).host(), "api.test");
  ASSERT_TRUE(SetRule("api.test", "kv").ok());
  EXPECT_EQ(result_.revision(), revision) << "nothing changed";

  v1::RemoveOutboundByHostRequest remove;
  remove.set_container_id("web-1");
  remove.set_host("api.test");
  ASSERT_TRUE(Mutate(&Policy::RemoveOutboundByHost, remove).ok());
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host_size(), 0);
  const uint64_t removed = result_.revision();
  ASSERT_TRUE(Mutate(&Policy::RemoveOutboundByHost, remove).ok());
  EXPECT_EQ(result_.revision(), removed);
}

TEST_F(PolicyServiceTest, UnregisteredHandlerChangesNothing) {
  const uint64_t before = server_.GetContainer("web-1").stored_revision();
  EXPECT_EQ(SetRule("api.test", "nope").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(server_.GetContainer("web-1").stored_revision(), before);
}

TEST_F(PolicyServiceTest, HandlerThatTheClassDoesNotPermit) {
  v1::ContainerClass value;
  value.set_name("web");
  value.mutable_outbound_handlers()->add_names("other");
  server_.ApplyClass(value);
  EXPECT_EQ(SetRule("api.test", "kv").error_code(), StatusCode::NOT_FOUND);
}

TEST_F(PolicyServiceTest, AllRulesAtOnce) {
  v1::SetOutboundByHostsRequest request;
  request.set_container_id("web-1");
  for (const char* host : {"b.test", "a.test"}) {
    v1::HostRule* rule = request.add_rules();
    rule->set_host(host);
    rule->mutable_handler()->set_handler("kv");
  }
  ASSERT_TRUE(Mutate(&Policy::SetOutboundByHosts, request).ok());
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host(0).host(), "b.test");
  request.mutable_rules(1)->set_host("a.test/path");
  EXPECT_EQ(Mutate(&Policy::SetOutboundByHosts, request).error_code(),
            StatusCode::INVALID_ARGUMENT);
  request.clear_rules();
  ASSERT_TRUE(Mutate(&Policy::SetOutboundByHosts, request).ok());
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host_size(), 0);
}

TEST_F(PolicyServiceTest, CatchAll) {
  v1::SetOutboundHandlerRequest request;
  request.set_container_id("web-1");
  request.set_handler("kv");
  ASSERT_TRUE(Mutate(&Policy::SetOutboundHandler, request).ok());
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound().handler(), "kv");
  ASSERT_TRUE(OnContainer(&Policy::ClearOutboundHandler).ok());
  EXPECT_FALSE(server_.GetContainer("web-1").policy().has_outbound());
}

TEST_F(PolicyServiceTest, AllowedHosts) {
  EXPECT_FALSE(server_.GetContainer("web-1").has_effective_allowed_hosts());
  ASSERT_TRUE(OnHost(&Policy::AllowHost, "A.com").ok());
  EXPECT_THAT(Allowed(), ElementsAre("a.com"));
  ASSERT_TRUE(OnHosts(&Policy::SetAllowedHosts, {"b.com", "c.com"}).ok());
  ASSERT_TRUE(OnHost(&Policy::RemoveAllowedHost, "b.com").ok());
  EXPECT_THAT(Allowed(), ElementsAre("c.com"));
  ASSERT_TRUE(OnHosts(&Policy::SetAllowedHosts, {}).ok());
  EXPECT_TRUE(server_.GetContainer("web-1").has_effective_allowed_hosts());
  EXPECT_THAT(Allowed(), ElementsAre());
  ASSERT_TRUE(OnContainer(&Policy::ClearAllowedHosts).ok());
  EXPECT_FALSE(server_.GetContainer("web-1").has_effective_allowed_hosts());
}

TEST_F(PolicyServiceTest, DeniedHosts) {
  ASSERT_TRUE(OnHosts(&Policy::SetDeniedHosts, {"203.0.113.0/24"}).ok());
  ASSERT_TRUE(OnHost(&Policy::DenyHost, "bad.com").ok());
  EXPECT_EQ(server_.GetContainer("web-1").effective_denied_hosts().hosts_size(), 2);
  ASSERT_TRUE(OnHost(&Policy::RemoveDeniedHost, "bad.com").ok());
  EXPECT_EQ(server_.GetContainer("web-1").effective_denied_hosts().hosts_size(), 1);
  ASSERT_TRUE(OnContainer(&Policy::ClearDeniedHosts).ok());
  EXPECT_FALSE(server_.GetContainer("web-1").has_effective_denied_hosts());
}

TEST_F(PolicyServiceTest, EditsShowThroughToALaterClass) {
  ASSERT_TRUE(OnHost(&Policy::AllowHost, "mine.com").ok());
  v1::ContainerClass value;
  value.set_name("web");
  value.mutable_allowed_hosts()->add_hosts("class.com");
  server_.ApplyClass(value);
  EXPECT_THAT(Allowed(), ElementsAre("class.com", "mine.com"));
}

TEST_F(PolicyServiceTest, EnableInternet) {
  v1::SetEnableInternetRequest request;
  request.set_container_id("web-1");
  request.set_enable_internet(false);
  ASSERT_TRUE(Mutate(&Policy::SetEnableInternet, request).ok());
  EXPECT_FALSE(server_.GetContainer("web-1").policy().enable_internet());
  request.clear_enable_internet();
  ASSERT_TRUE(Mutate(&Policy::SetEnableInternet, request).ok());
  EXPECT_FALSE(server_.GetContainer("web-1").policy().has_enable_internet());
}

TEST_F(PolicyServiceTest, Intercepts) {
  v1::InterceptRequest request;
  request.set_container_id("web-1");
  request.set_handler("kv");
  EXPECT_EQ(Mutate(&Policy::InterceptOutboundHttp, request).error_code(),
            StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(Mutate(&Policy::InterceptAllOutboundHttp, request).ok());
  request.set_target("*.api.test");
  ASSERT_TRUE(Mutate(&Policy::InterceptOutboundHttp, request).ok());
  ASSERT_TRUE(Mutate(&Policy::InterceptOutboundHttps, request).ok());
  EXPECT_EQ(server_.GetContainer("web-1").policy().intercepts_size(), 3);
  ASSERT_TRUE(OnContainer(&Policy::RemoveInterceptAllOutboundHttp).ok());
  ASSERT_TRUE(OnHost(&Policy::RemoveInterceptOutboundHttp, "*.api.test").ok());
  ASSERT_TRUE(OnHost(&Policy::RemoveInterceptOutboundHttps, "*.api.test").ok());
  EXPECT_EQ(server_.GetContainer("web-1").policy().intercepts_size(), 0);
}

TEST_F(PolicyServiceTest, ContainerIsCheckedFirst) {
  EXPECT_EQ(OnHost(&Policy::AllowHost, "a.com", "web-2").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(OnHost(&Policy::AllowHost, "a.com", "").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(OnHost(&Policy::AllowHost, "a.com", "../x").error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(PolicyServiceTest, WrongHostsAreRefusedWithTheField) {
  for (const char* host : {"", " bad.com", "https://bad.com", "bad.com/x", "bad.com:80",
                           ".evil.com", "?ad.com", "10.0.0.1/8", "10.0.0.0/33"}) {
    const grpc::Status status = OnHost(&Policy::DenyHost, host);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << host;
    EXPECT_THAT(status.error_message(), HasSubstr("host")) << host;
  }
}

TEST_F(PolicyServiceTest, ParamsAreLimited) {
  v1::SetOutboundByHostRequest request;
  request.set_container_id("web-1");
  request.set_host("api.test");
  request.set_handler("kv");
  (*request.mutable_params()->mutable_fields())["k"].set_string_value(std::string(65'000, 'x'));
  EXPECT_TRUE(Mutate(&Policy::SetOutboundByHost, request).ok());
  (*request.mutable_params()->mutable_fields())["k"].set_string_value(std::string(66'000, 'x'));
  EXPECT_EQ(Mutate(&Policy::SetOutboundByHost, request).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(PolicyServiceTest, OptionsAreChecked) {
  v1::ContainerRequest request;
  request.set_container_id("web-1");
  request.mutable_options()->mutable_timeout()->set_seconds(61);
  EXPECT_THAT(Mutate(&Policy::ClearAllowedHosts, request).error_message(),
              HasSubstr("options.timeout"));
  request.mutable_options()->mutable_timeout()->set_seconds(-1);
  EXPECT_EQ(Mutate(&Policy::ClearAllowedHosts, request).error_code(), StatusCode::INVALID_ARGUMENT);
  request.mutable_options()->clear_timeout();
  request.mutable_options()->set_wait(static_cast<v1::Wait>(9));
  EXPECT_THAT(Mutate(&Policy::ClearAllowedHosts, request).error_message(),
              HasSubstr("options.wait"));
}

TEST_F(PolicyServiceTest, Registry) {
  v1::RegisterHandlerRequest request;
  request.mutable_handler()->set_name("stripe");
  request.mutable_handler()->add_endpoints("ftp://127.0.0.1:1");
  v1::RegisterHandlerResponse registered;
  EXPECT_EQ(Call(server_.registry(), &Registry::RegisterHandler, request, &registered).error_code(),
            StatusCode::INVALID_ARGUMENT);
  request.mutable_handler()->set_endpoints(0, "grpc://127.0.0.1:1");
  ASSERT_TRUE(Call(server_.registry(), &Registry::RegisterHandler, request, &registered).ok());
  EXPECT_EQ(registered.handler().timeout().seconds(), 30);

  v1::ListHandlersResponse list;
  ASSERT_TRUE(Call(server_.registry(), &Registry::ListHandlers, {}, &list).ok());
  ASSERT_EQ(list.handlers_size(), 2);
  EXPECT_EQ(list.handlers(0).name(), "kv");

  v1::RemoveHandlerRequest remove;
  remove.set_name("stripe");
  ASSERT_TRUE(Call(server_.registry(), &Registry::RemoveHandler, remove, &result_).ok());
  ASSERT_TRUE(Call(server_.registry(), &Registry::RemoveHandler, remove, &result_).ok());
  v1::GetHandlerRequest get;
  get.set_name("stripe");
  v1::GetHandlerResponse got;
  EXPECT_EQ(Call(server_.registry(), &Registry::GetHandler, get, &got).error_code(),
            StatusCode::NOT_FOUND);
}

TEST_F(PolicyServiceTest, RevokedLeasesStayRevoked) {
  v1::RevokeLeasesRequest revoke;
  revoke.set_name("kv");
  v1::RevokeLeasesResponse revoked;
  ASSERT_TRUE(Call(server_.registry(), &Registry::RevokeLeases, revoke, &revoked).ok());
  EXPECT_EQ(revoked.lease_epoch(), 1u);
  const uint64_t revision = revoked.result().revision();
  ASSERT_TRUE(Call(server_.registry(), &Registry::RevokeLeases, revoke, &revoked).ok());
  EXPECT_EQ(revoked.lease_epoch(), 2u);
  EXPECT_GT(revoked.result().revision(), revision);

  // Neither a new registration nor a policy file sets it back.
  v1::GetHandlerRequest get;
  get.set_name("kv");
  v1::GetHandlerResponse got;
  ASSERT_TRUE(Call(server_.registry(), &Registry::GetHandler, get, &got).ok());
  v1::RegisterHandlerRequest again;
  *again.mutable_handler() = got.handler();
  again.mutable_handler()->set_lease_epoch(0);
  again.mutable_handler()->set_retries(1);
  v1::RegisterHandlerResponse registered;
  ASSERT_TRUE(Call(server_.registry(), &Registry::RegisterHandler, again, &registered).ok());
  EXPECT_EQ(registered.handler().lease_epoch(), 2u);
  EXPECT_EQ(registered.handler().retries(), 1u);
  v1::ApplyPolicyRequest apply;
  *apply.add_handlers() = got.handler();
  apply.mutable_handlers(0)->set_lease_epoch(9);
  v1::ApplyPolicyResponse applied;
  ASSERT_TRUE(Call(server_.policy(), &Policy::ApplyPolicy, apply, &applied).ok());

  server_.Restart();
  ASSERT_TRUE(Call(server_.registry(), &Registry::GetHandler, get, &got).ok());
  EXPECT_EQ(got.handler().lease_epoch(), 2u);
  revoke.set_name("absent");
  EXPECT_EQ(Call(server_.registry(), &Registry::RevokeLeases, revoke, &revoked).error_code(),
            StatusCode::NOT_FOUND);
}

TEST_F(PolicyServiceTest, HandlerWithSecretsMayNotFailOpen) {
  v1::RegisterHandlerRequest request;
  request.mutable_handler()->set_name("stripe");
  request.mutable_handler()->add_endpoints("grpc://127.0.0.1:1");
  request.mutable_handler()->set_holds_secrets(true);
  request.mutable_handler()->set_on_failure(v1::Handler::ON_FAILURE_EGRESS);
  v1::RegisterHandlerResponse response;
  EXPECT_EQ(Call(server_.registry(), &Registry::RegisterHandler, request, &response).error_code(),
            StatusCode::INVALID_ARGUMENT);
}

TEST_F(PolicyServiceTest, StateSurvivesARestart) {
  ASSERT_TRUE(SetRule("api.test", "kv").ok());
  const uint64_t revision = result_.revision();
  server_.Restart();
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host(0).host(), "api.test");
  ASSERT_TRUE(SetRule("b.test", "kv").ok());
  EXPECT_EQ(result_.revision(), revision + 1);
}

}  // namespace
}  // namespace sallyport
