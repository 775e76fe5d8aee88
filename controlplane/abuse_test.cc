// Calls that no well-behaved client makes, and sizes at the limits.

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Policy = v1::OutboundPolicy::Stub;

class AbuseTest : public testing::Test {
 protected:
  AbuseTest() {
    server_.ApplyClass("web");
    server_.CreateContainer("web-1", "web");
    server_.RegisterHandler("kv");
  }

  template <typename Method>
  grpc::Status OnHost(Method method, const std::string& host, const std::string& id = "web-1") {
    v1::HostRequest request;
    request.set_container_id(id);
    request.set_host(host);
    *request.mutable_options() = WaitStored();
    return Call(server_.policy(), method, request, &result_);
  }
  grpc::Status SetAllowed(const std::vector<std::string>& hosts) {
    v1::HostsRequest request;
    request.set_container_id("web-1");
    request.mutable_hosts()->Assign(hosts.begin(), hosts.end());
    *request.mutable_options() = WaitStored();
    return Call(server_.policy(), &Policy::SetAllowedHosts, request, &result_);
  }
  grpc::Status SetNestedParams(int depth) {
    v1::SetOutboundByHostRequest request;
    request.set_container_id("web-1");
    request.set_host("a.com");
    request.set_handler("kv");
    google::protobuf::Value* value = &(*request.mutable_params()->mutable_fields())["k"];
    for (int i = 1; i < depth; ++i) {
      value = &(*value->mutable_struct_value()->mutable_fields())["k"];
    }
    value->set_bool_value(true);
    *request.mutable_options() = WaitStored();
    return Call(server_.policy(), &Policy::SetOutboundByHost, request, &result_);
  }
  // A call of ApplyClass with these bytes for a message.
  grpc::Status Raw(const std::string& bytes) {
    grpc::GenericStub stub(server_.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> status;
    stub.UnaryCall(&context, "/sallyport.v1.OutboundPolicy/ApplyClass", {}, &request, &response,
                   [&](grpc::Status result) { status.set_value(std::move(result)); });
    return status.get_future().get();
  }
  std::vector<std::string> Allowed() {
    const v1::HostList list = server_.GetContainer("web-1").effective_allowed_hosts();
    return {list.hosts().begin(), list.hosts().end()};
  }
  bool HasAllowed() { return server_.GetContainer("web-1").has_effective_allowed_hosts(); }

  TestServer server_;
  v1::MutationResult result_;
};

TEST_F(AbuseTest, BytesThatAreNoMessage) {
  v1::ApplyClassRequest request;
  request.mutable_class_()->set_name("good");
  const std::string good = request.SerializeAsString();
  EXPECT_TRUE(Raw(good).ok());
  std::string not_utf8 = good;
  not_utf8[not_utf8.size() - 1] = '\xff';
  for (const std::string& bytes :
       {good.substr(0, good.size() - 1), not_utf8, std::string("\xff\xff\xff\xff")}) {
    EXPECT_FALSE(Raw(bytes).ok());
  }
  EXPECT_EQ(Raw(std::string(17 << 20, '\0')).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  v1::ListClassesResponse classes;
  ASSERT_TRUE(Call(server_.policy(), &Policy::ListClasses, {}, &classes).ok());
  EXPECT_EQ(classes.classes_size(), 2) << "web and good";
}

TEST_F(AbuseTest, EnumsThatAreUnknown) {
  v1::RegisterHandlerRequest request;
  request.mutable_handler()->set_name("h");
  request.mutable_handler()->add_endpoints("grpc://127.0.0.1:1");
  request.mutable_handler()->set_on_failure(static_cast<v1::Handler::OnFailure>(99));
  request.mutable_options()->set_wait(static_cast<v1::Wait>(99));
  v1::RegisterHandlerResponse response;
  const grpc::Status status =
      Call(server_.registry(), &v1::HandlerRegistry::Stub::RegisterHandler, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("handler.on_failure: "));
  EXPECT_THAT(status.error_message(), HasSubstr("\noptions.wait: "));
}

// What is stored must fit in the messages that agents read.
TEST_F(AbuseTest, DeepestParamsReachTheAgent) {
  EXPECT_EQ(SetNestedParams(26).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_FALSE(SetNestedParams(60).ok());
  ASSERT_TRUE(SetNestedParams(25).ok());
  FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  FakeAgent::Acks::kAtOnce);
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Container("web-1"), result_.revision()));
  server_.Restart();
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host_size(), 1);
}

TEST_F(AbuseTest, NoListEmptyListAndAListThatBecameEmpty) {
  EXPECT_FALSE(HasAllowed());
  ASSERT_TRUE(OnHost(&Policy::RemoveAllowedHost, "a.com").ok());
  EXPECT_FALSE(HasAllowed()) << "taking away what is not there makes no list";
  ASSERT_TRUE(OnHost(&Policy::AllowHost, "a.com").ok());
  ASSERT_TRUE(OnHost(&Policy::RemoveAllowedHost, "a.com").ok());
  EXPECT_TRUE(HasAllowed());
  EXPECT_THAT(Allowed(), IsEmpty());
  ASSERT_TRUE(SetAllowed({}).ok());
  EXPECT_TRUE(HasAllowed());
  EXPECT_THAT(Allowed(), IsEmpty());

  v1::ContainerClass value;
  value.set_name("web");
  value.mutable_allowed_hosts()->add_hosts("class.com");
  server_.ApplyClass(value);
  EXPECT_THAT(Allowed(), IsEmpty()) << "the container's own list hides the class's";
  v1::ContainerRequest clear;
  clear.set_container_id("web-1");
  ASSERT_TRUE(Call(server_.policy(), &Policy::ClearAllowedHosts, clear, &result_).ok());
  EXPECT_THAT(Allowed(), ElementsAre("class.com"));
}

TEST_F(AbuseTest, EmptyDeniedListHidesTheClasss) {
  v1::ContainerClass value;
  value.set_name("web");
  value.mutable_denied_hosts()->add_hosts("bad.com");
  server_.ApplyClass(value);
  v1::HostsRequest request;
  request.set_container_id("web-1");
  ASSERT_TRUE(Call(server_.policy(), &Policy::SetDeniedHosts, request, &result_).ok());
  EXPECT_TRUE(server_.GetContainer("web-1").has_effective_denied_hosts());
  EXPECT_EQ(server_.GetContainer("web-1").effective_denied_hosts().hosts_size(), 0);
}

TEST_F(AbuseTest, AskingAgainChangesNothing) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(OnHost(&Policy::DenyHost, "bad.com").ok());
    ASSERT_TRUE(OnHost(&Policy::DenyHost, "BAD.com.").ok());
    ASSERT_TRUE(OnHost(&Policy::RemoveDeniedHost, "absent.com").ok());
  }
  EXPECT_EQ(server_.GetContainer("web-1").effective_denied_hosts().hosts_size(), 1);
  EXPECT_EQ(result_.revision(), server_.GetContainer("web-1").stored_revision());
  EXPECT_EQ(result_.revision(), 4u) << "class, container, handler, and one host";
}

TEST_F(AbuseTest, ListsOfAHundredThousand) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 100'000; ++i) hosts.push_back(StrCat("h", i, ".test"));
  ASSERT_TRUE(SetAllowed(hosts).ok());
  EXPECT_EQ(Allowed().size(), 100'000u);
  const uint64_t revision = result_.revision();
  ASSERT_TRUE(OnHost(&Policy::AllowHost, "h99999.test").ok());
  EXPECT_EQ(result_.revision(), revision);
  const grpc::Status one_more = OnHost(&Policy::AllowHost, "one.more.test");
  EXPECT_EQ(one_more.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(one_more.error_message(), HasSubstr("host: has more than 100000 entries"));
  hosts.push_back("one.more.test");
  EXPECT_EQ(SetAllowed(hosts).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Allowed().size(), 100'000u);
}

TEST_F(AbuseTest, EveryWrongEntryIsNamedUpToAPoint) {
  std::vector<std::string> hosts(200, "x.com:1");
  const grpc::Status status = SetAllowed(hosts);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("hosts[0]: \"x.com:1\" has a port"));
  EXPECT_THAT(status.error_message(), HasSubstr("\nhosts[49]: "));
  EXPECT_THAT(status.error_message(), HasSubstr("\nand 150 more wrong fields"));
  EXPECT_FALSE(HasAllowed());
}

TEST_F(AbuseTest, RulesBeforeAndAfterTheContainersLife) {
  EXPECT_EQ(OnHost(&Policy::AllowHost, "a.com", "new-1").error_code(), StatusCode::NOT_FOUND);
  server_.CreateContainer("new-1", "web");  // Ahead of its attachment.
  ASSERT_TRUE(OnHost(&Policy::AllowHost, "a.com", "new-1").ok());
  EXPECT_EQ(result_.enforcement(), v1::MutationResult::NOT_ATTACHED);
  {
    FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"new-1", "web"}}),
                    FakeAgent::Acks::kAtOnce);
    EXPECT_TRUE(agent.WaitToHave(ResourceId::Container("new-1"), result_.revision()));
    v1::DeleteContainerRequest request;
    request.set_container_id("new-1");
    v1::DeleteContainerResponse response;
    EXPECT_EQ(Call(server_.policy(), &Policy::DeleteContainer, request, &response).error_code(),
              StatusCode::FAILED_PRECONDITION);
    agent.Detach("new-1", false);
    EXPECT_TRUE(agent.WaitToHave(ResourceId::Container("new-1"), 0));
    EXPECT_TRUE(Call(server_.policy(), &Policy::DeleteContainer, request, &response).ok());
  }
  EXPECT_EQ(OnHost(&Policy::AllowHost, "a.com", "new-1").error_code(), StatusCode::NOT_FOUND);
}

TEST_F(AbuseTest, EveryWrongFieldOfAnEditIsNamed) {
  v1::SetOutboundByHostRequest request;
  request.set_container_id("web/1");
  request.set_host("a.com/x");
  request.set_handler("not a name");
  request.mutable_options()->mutable_timeout()->set_seconds(-1);
  const grpc::Status status = Call(server_.policy(), &Policy::SetOutboundByHost, request, &result_);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  for (const char* field : {"container_id: ", "\noptions.timeout: ", "\nhost: ", "\nhandler: "}) {
    EXPECT_THAT(status.error_message(), HasSubstr(field));
  }
}

}  // namespace
}  // namespace sallyport
