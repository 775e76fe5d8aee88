// What every mutation accepts beside its own fields: expected_revision.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;
using Registry = v1::HandlerRegistry::Stub;

class MutationOptionsTest : public testing::Test {
 protected:
  MutationOptionsTest() {
    server_.ApplyClass("web");
    server_.CreateContainer("web-1", "web");
    server_.RegisterHandler("kv");
  }

  grpc::Status Allow(const std::string& host, const v1::MutationOptions& options) {
    v1::HostRequest request;
    request.set_container_id("web-1");
    request.set_host(host);
    *request.mutable_options() = options;
    return Call(server_.policy(), &Policy::AllowHost, request, &result_);
  }
  static v1::MutationOptions Expect(uint64_t revision) {
    v1::MutationOptions options;
    options.set_expected_revision(revision);
    return options;
  }
  uint64_t Stored() { return server_.GetContainer("web-1").stored_revision(); }

  TestServer server_;
  v1::MutationResult result_;
};

TEST_F(MutationOptionsTest, ExpectedRevisionIsTheOneThatWasRead) {
  ASSERT_TRUE(Allow("a.com", Expect(Stored())).ok());
  ASSERT_TRUE(Allow("b.com", Expect(result_.revision())).ok());
  const uint64_t stored = result_.revision();
  const grpc::Status late = Allow("c.com", Expect(stored - 1));
  EXPECT_EQ(late.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(late.error_message(),
            StrCat("container web-1 is at revision ", stored, ", but options.expected_revision is ",
                   stored - 1, "; nothing was changed: read it again, then decide anew"));
  EXPECT_EQ(Stored(), stored);
}

TEST_F(MutationOptionsTest, ContainerThatTwoHaveReadIsChangedByOne) {
  const uint64_t read = Stored();
  EXPECT_TRUE(Allow("a.com", Expect(read)).ok());
  EXPECT_EQ(Allow("b.com", Expect(read)).error_code(), StatusCode::ABORTED);
}

// What a container may do depends on its class, too.
TEST_F(MutationOptionsTest, ChangeOfTheClassCountsForTheContainer) {
  const uint64_t read = Stored();
  v1::ContainerClass value;
  value.set_name("web");
  value.set_enable_internet(false);
  server_.ApplyClass(value);
  EXPECT_EQ(Allow("a.com", Expect(read)).error_code(), StatusCode::ABORTED);
  ASSERT_TRUE(Allow("a.com", Expect(Stored())).ok());
  ASSERT_TRUE(Allow("a.com", Expect(result_.revision())).ok()) << "which changes nothing";
  EXPECT_EQ(result_.revision(), Stored());
}

TEST_F(MutationOptionsTest, ZeroMeansThatThereIsNone) {
  const grpc::Status there = Allow("a.com", Expect(0));
  EXPECT_EQ(there.error_code(), StatusCode::ABORTED);
  EXPECT_THAT(there.error_message(),
              HasSubstr("but options.expected_revision 0 says that there is none"));

  v1::CreateContainerRequest create;
  create.set_container_id("web-2");
  create.set_class_name("web");
  create.mutable_options()->set_expected_revision(7);
  v1::CreateContainerResponse created;
  const grpc::Status none = Call(server_.policy(), &Policy::CreateContainer, create, &created);
  EXPECT_EQ(none.error_code(), StatusCode::ABORTED);
  EXPECT_THAT(none.error_message(), HasSubstr("there is no container web-2 (revision 0), but "
                                              "options.expected_revision is 7"));
  create.mutable_options()->set_expected_revision(0);
  EXPECT_TRUE(Call(server_.policy(), &Policy::CreateContainer, create, &created).ok());
  EXPECT_EQ(Call(server_.policy(), &Policy::CreateContainer, create, &created).error_code(),
            StatusCode::ABORTED);
}

// Each mutation that is not an edit of a container, with a wrong revision.
TEST_F(MutationOptionsTest, EveryOtherMutationCompares) {
  v1::ApplyClassRequest apply;
  apply.mutable_class_()->set_name("web");
  v1::DeleteClassRequest delete_class;
  delete_class.set_name("web");
  v1::DeleteContainerRequest delete_container;
  delete_container.set_container_id("web-1");
  v1::RegisterHandlerRequest register_handler;
  register_handler.mutable_handler()->set_name("kv");
  register_handler.mutable_handler()->add_endpoints("grpc://127.0.0.1:9");
  v1::RemoveHandlerRequest remove_handler;
  remove_handler.set_name("kv");

  v1::ApplyClassResponse applied;
  v1::DeleteClassResponse deleted_class;
  v1::DeleteContainerResponse deleted_container;
  v1::RegisterHandlerResponse registered;
  for (v1::MutationOptions* options :
       {apply.mutable_options(), delete_class.mutable_options(), delete_container.mutable_options(),
        register_handler.mutable_options(), remove_handler.mutable_options()}) {
    options->set_expected_revision(1000);
  }
  const std::vector<std::pair<std::string, std::function<grpc::Status()>>> calls = {
      {"class web is at revision",
       [&] { return Call(server_.policy(), &Policy::ApplyClass, apply, &applied); }},
      {"class web is at revision",
       [&] { return Call(server_.policy(), &Policy::DeleteClass, delete_class, &deleted_class); }},
      {"container web-1 is at revision",
       [&] {
         return Call(server_.policy(), &Policy::DeleteContainer, delete_container,
                     &deleted_container);
       }},
      {"handler kv is at revision",
       [&] {
         return Call(server_.registry(), &Registry::RegisterHandler, register_handler, &registered);
       }},
      {"handler kv is at revision",
       [&] {
         return Call(server_.registry(), &Registry::RemoveHandler, remove_handler, &result_);
       }},
  };
  const uint64_t before = Stored();
  for (const auto& [message, call] : calls) {
    const grpc::Status status = call();
    EXPECT_EQ(status.error_code(), StatusCode::ABORTED) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(message));
    EXPECT_THAT(status.error_message(), HasSubstr("expected_revision is 1000"));
  }
  EXPECT_EQ(Stored(), before);
}

// Each of fifty clients reads the rules, adds one, and writes all of them back.
TEST_F(MutationOptionsTest, NoUpdateIsLostWhenFiftyReadAndWriteBack) {
  constexpr int kClients = 50;
  std::atomic<int> aborted = 0;
  std::vector<std::future<uint64_t>> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.push_back(std::async(std::launch::async, [this, client, &aborted]() -> uint64_t {
      while (true) {
        const v1::ContainerStatus read = server_.GetContainer("web-1");
        v1::SetOutboundByHostsRequest request;
        request.set_container_id("web-1");
        *request.mutable_rules() = read.policy().outbound_by_host();
        v1::HostRule* rule = request.add_rules();
        rule->set_host(StrCat("h", client, ".test"));
        rule->mutable_handler()->set_handler("kv");
        *request.mutable_options() = Expect(read.stored_revision());
        v1::MutationResult result;
        const grpc::Status status =
            Call(server_.policy(), &Policy::SetOutboundByHosts, request, &result);
        if (status.ok()) return result.revision();
        EXPECT_EQ(status.error_code(), StatusCode::ABORTED) << status.error_message();
        ++aborted;
      }
    }));
  }
  std::set<uint64_t> revisions;
  for (auto& client : clients) revisions.insert(client.get());
  EXPECT_EQ(revisions.size(), static_cast<size_t>(kClients)) << "one revision for each change";
  EXPECT_EQ(server_.GetContainer("web-1").policy().outbound_by_host_size(), kClients);
  EXPECT_GT(aborted.load(), 0) << "no two clients met";
}

// Different edits of one container, all at once: none undoes another's.
TEST_F(MutationOptionsTest, NoEditIsLostWhenFiftyEditAtOnce) {
  constexpr int kClients = 50;
  std::vector<std::future<void>> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.push_back(std::async(std::launch::async, [this, client] {
      v1::HostRequest request;
      request.set_container_id("web-1");
      v1::MutationResult result;
      const auto edit = [&](auto method, const std::string& host) {
        request.set_host(host);
        EXPECT_TRUE(Call(server_.policy(), method, request, &result).ok());
      };
      edit(&Policy::AllowHost, StrCat("stays-", client, ".test"));
      edit(&Policy::AllowHost, StrCat("goes-", client, ".test"));
      edit(&Policy::DenyHost, StrCat("bad-", client, ".test"));
      edit(&Policy::RemoveAllowedHost, StrCat("goes-", client, ".test"));
      v1::SetOutboundByHostRequest rule;
      rule.set_container_id("web-1");
      rule.set_host(StrCat("h", client, ".test"));
      rule.set_handler("kv");
      EXPECT_TRUE(Call(server_.policy(), &Policy::SetOutboundByHost, rule, &result).ok());
    }));
  }
  for (auto& client : clients) client.get();
  const v1::ContainerStatus status = server_.GetContainer("web-1");
  EXPECT_EQ(status.effective_allowed_hosts().hosts_size(), kClients);
  EXPECT_EQ(status.effective_denied_hosts().hosts_size(), kClients);
  EXPECT_EQ(status.policy().outbound_by_host_size(), kClients);
}

}  // namespace
}  // namespace sallyport
