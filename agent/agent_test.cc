// The whole agent, over its socket, in real namespaces; the proxy and the control plane are fakes.

#include "agent/agent.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "agent/testing/proxy_fixture.h"
#include "agent/testing/sync_server.h"
#include "agent/testing/test_network.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;
using grpc::StatusCode;

class AgentTest : public testing::Test {
 protected:
  AgentTest() : server_(fixture_.directory() + "/controlplane.sock") {
    config_.control_plane = server_.target();
    config_.host_name = "host-7";
    config_.state_dir = fixture_.directory() + "/agent";
    config_.run_dir = fixture_.directory() + "/run";
    config_.socket = "unix:" + fixture_.directory() + "/agent.sock";
    config_.proxy_binary = fixture_.Options().program.binary;
    config_.audit = "/dev/null";
  }
  void SetUp() override {
    StartAgent();
    EXPECT_TRUE(server_.Next().value().has_hello());
  }
  void StartAgent() {
    absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Start(config_, FdStore(), {});
    ASSERT_TRUE(agent.ok()) << agent.status();
    agent_ = *std::move(agent);
    stub_ = v1::AgentControl::NewStub(
        grpc::CreateChannel(config_.socket, grpc::InsecureChannelCredentials()));
  }

  static v1::AttachRequest ByPid(const std::string& id, pid_t pid) {
    v1::AttachRequest request;
    request.set_container_id(id);
    request.set_class_name("agents");
    request.set_pid(pid);
    request.mutable_wait()->set_seconds(0);
    return request;
  }
  static v1::AttachRequest ByPath(const std::string& id, const std::string& path) {
    v1::AttachRequest request = ByPid(id, 0);
    request.set_netns_path(path);
    return request;
  }
  StatusCode Attach(const v1::AttachRequest& request) {
    grpc::ClientContext context;
    attached_.Clear();
    const grpc::Status status = stub_->Attach(&context, request, &attached_);
    message_ = status.error_message();
    return status.error_code();
  }
  StatusCode Detach(const std::string& id, bool only_if_ended = false) {
    grpc::ClientContext context;
    v1::DetachRequest request;
    v1::DetachResponse response;
    request.set_container_id(id);
    request.set_only_if_ended(only_if_ended);
    return stub_->Detach(&context, request, &response).error_code();
  }
  v1::ListAttachedResponse List() {
    grpc::ClientContext context;
    v1::ListAttachedResponse response;
    EXPECT_TRUE(stub_->ListAttached(&context, {}, &response).ok());
    return response;
  }
  v1::StatusResponse Status() {
    grpc::ClientContext context;
    v1::StatusResponse response;
    EXPECT_TRUE(stub_->Status(&context, {}, &response).ok());
    return response;
  }
  std::string CaFiles(const std::string& id) const { return config_.run_dir + "/containers/" + id; }
  // The answer of a control plane that knows the class.
  void Enforce(const std::string& id, uint64_t revision) {
    server_.Accept(id, revision);
    server_.SendDelta(TestDelta(revision, {id}));
    EXPECT_EQ(server_.Next().value().ack().revision(), revision);
  }

  ProxyFixture fixture_;
  SyncServer server_;
  Config config_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<v1::AgentControl::Stub> stub_;
  v1::AttachResponse attached_;
  std::string message_;
};

TEST_F(AgentTest, AttachAnswersWithTheCaOfTheContainer) {
  TestProcess process;
  ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
  BIO* const memory = BIO_new_mem_buf(attached_.ca_certificate_pem().data(), -1);
  X509* const certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
  EXPECT_NE(certificate, nullptr);
  X509_free(certificate);
  BIO_free(memory);
  EXPECT_FALSE(attached_.policy_enforced());
  EXPECT_NE(attached_.pending(), "");
  EXPECT_TRUE(fs::exists(CaFiles("web-1") + "/ca.crt"));

  ASSERT_EQ(List().containers_size(), 1);
  EXPECT_EQ(List().containers(0).container_id(), "web-1");
  EXPECT_EQ(List().containers(0).class_name(), "agents");
  EXPECT_EQ(List().containers(0).pid(), process.pid());
  EXPECT_EQ(List().containers(0).enforced_revision(), 0u);
}

TEST_F(AgentTest, AttachWaitsUntilThePolicyIsEnforced) {
  TestProcess process;
  v1::AttachRequest request = ByPid("web-1", process.pid());
  request.mutable_wait()->set_seconds(30);
  StatusCode code = StatusCode::UNKNOWN;
  std::thread caller([&] { code = Attach(request); });
  EXPECT_EQ(server_.Next().value().attached().container_id(), "web-1");
  Enforce("web-1", 4);
  caller.join();
  EXPECT_EQ(code, StatusCode::OK) << message_;
  EXPECT_TRUE(attached_.policy_enforced());
  EXPECT_EQ(attached_.revision(), 4u);
  EXPECT_EQ(List().containers(0).enforced_revision(), 4u);
  EXPECT_EQ(Status().enforced_revision(), 4u);
}

TEST_F(AgentTest, AnUnknownClassIsNotFoundAndNothingStays) {
  TestProcess process;
  v1::AttachRequest request = ByPid("web-1", process.pid());
  request.mutable_wait()->set_seconds(30);
  StatusCode code = StatusCode::UNKNOWN;
  std::thread caller([&] { code = Attach(request); });
  EXPECT_TRUE(server_.Next().value().has_attached());
  server_.Refuse("web-1", "there is no class agents");
  caller.join();
  EXPECT_EQ(code, StatusCode::NOT_FOUND);
  EXPECT_EQ(message_, "there is no class agents");
  EXPECT_EQ(List().containers_size(), 0);
  EXPECT_FALSE(fs::exists(CaFiles("web-1")));
  EXPECT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
}

TEST_F(AgentTest, AnIdOrANamespaceIsAttachedOnce) {
  TestProcess process, another;
  ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
  EXPECT_EQ(Attach(ByPid("web-1", another.pid())), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Attach(ByPid("web-2", process.pid())), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Attach(ByPath("web-2", "/proc/" + std::to_string(process.pid()) + "/ns/net")),
            StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(message_, testing::HasSubstr("web-1"));
}

TEST_F(AgentTest, AnIdIsFreeAsSoonAsItsProcessHasEnded) {
  for (int round = 0; round < 20; ++round) {
    TestProcess process;
    ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << round << message_;
    process.End();
  }
}

TEST_F(AgentTest, OnlyWhatHasEndedIsDetachedIfSoAsked) {
  TestProcess process;
  ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
  EXPECT_EQ(Detach("web-1", true), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(List().containers_size(), 1);
  process.End();
  const StatusCode code = Detach("web-1", true);
  // The agent may have been faster.
  EXPECT_TRUE(code == StatusCode::OK || code == StatusCode::NOT_FOUND) << int{code};
  EXPECT_EQ(List().containers_size(), 0);
  EXPECT_FALSE(fs::exists(CaFiles("web-1")));
}

TEST_F(AgentTest, RefusesWhatCannotBeAttached) {
  TestProcess process;
  TestNetwork wired;
  wired.Run([] { ASSERT_EQ(std::system("ip link add wire0 type veth peer name wire1"), 0); });
  v1::AttachRequest no_namespace = ByPid("web-1", process.pid());
  no_namespace.clear_namespace();
  v1::AttachRequest no_class = ByPid("web-1", process.pid());
  no_class.clear_class_name();
  v1::AttachRequest bad_wait = ByPid("web-1", process.pid());
  bad_wait.mutable_wait()->set_seconds(-1);
  v1::AttachRequest bad_audit = ByPid("web-1", process.pid());
  bad_audit.set_audit_path("/");
  const struct {
    v1::AttachRequest request;
    StatusCode code;
  } kCases[] = {
      {ByPid("", process.pid()), StatusCode::INVALID_ARGUMENT},
      {ByPid("../web", process.pid()), StatusCode::INVALID_ARGUMENT},
      {no_namespace, StatusCode::INVALID_ARGUMENT},
      {no_class, StatusCode::INVALID_ARGUMENT},
      {bad_wait, StatusCode::INVALID_ARGUMENT},
      {bad_audit, StatusCode::INVALID_ARGUMENT},
      {ByPid("web-1", 0), StatusCode::INVALID_ARGUMENT},
      {ByPid("web-1", 1 << 22), StatusCode::NOT_FOUND},
      {ByPath("web-1", "/run/netns/sallyport-none"), StatusCode::NOT_FOUND},
      {ByPath("web-1", "/dev/null"), StatusCode::INVALID_ARGUMENT},
      {ByPid("web-1", getpid()), StatusCode::FAILED_PRECONDITION},
      {ByPath("web-1", wired.path()), StatusCode::FAILED_PRECONDITION},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Attach(c.request), c.code) << c.request.ShortDebugString() << message_;
  }
  EXPECT_EQ(List().containers_size(), 0);
  EXPECT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
}

TEST_F(AgentTest, DetachTakesEverythingAway) {
  TestNetwork network;
  ASSERT_EQ(Attach(ByPath("web-1", network.path())), StatusCode::OK) << message_;
  EXPECT_TRUE(server_.Next().value().has_attached());
  EXPECT_EQ(Detach("web-1"), StatusCode::OK);
  EXPECT_EQ(server_.Next().value().detached().container_id(), "web-1");
  EXPECT_FALSE(fs::exists(CaFiles("web-1")));
  EXPECT_EQ(List().containers_size(), 0);
  EXPECT_EQ(Detach("web-1"), StatusCode::NOT_FOUND);
  // The ports are free again.
  EXPECT_EQ(Attach(ByPath("web-2", network.path())), StatusCode::OK) << message_;
}

TEST_F(AgentTest, TheEndOfItsProcessDetachesAContainer) {
  TestProcess process;
  v1::AttachRequest request = ByPid("web-1", process.pid());
  request.set_ephemeral(true);
  ASSERT_EQ(Attach(request), StatusCode::OK) << message_;
  EXPECT_TRUE(server_.Next().value().has_attached());
  Enforce("web-1", 4);
  process.End();
  const v1::Detached detached = server_.Next().value().detached();
  EXPECT_EQ(detached.container_id(), "web-1");
  EXPECT_TRUE(detached.forget());
}

TEST_F(AgentTest, SaysWhatItIsDoing) {
  TestProcess process;
  ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
  EXPECT_TRUE(server_.Next().value().has_attached());
  Enforce("web-1", 4);
  const v1::StatusResponse status = Status();
  EXPECT_EQ(status.host_name(), "host-7");
  EXPECT_TRUE(status.control_plane_connected());
  EXPECT_EQ(status.control_plane(), config_.control_plane);
  EXPECT_EQ(status.control_plane_error(), "");
  EXPECT_GT(status.proxy_pid(), 0);
  EXPECT_EQ(status.proxy_restarts(), 0u);
}

TEST_F(AgentTest, StoppingLeavesNothingBehind) {
  TestProcess process;
  TestNetwork network;
  ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
  ASSERT_EQ(Attach(ByPath("web-2", network.path())), StatusCode::OK) << message_;
  const pid_t proxy = Status().proxy_pid();
  const auto started = std::chrono::steady_clock::now();
  agent_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(2));
  EXPECT_EQ(kill(proxy, 0), -1);
  EXPECT_TRUE(fs::is_empty(config_.run_dir));
  EXPECT_FALSE(fs::exists(fixture_.directory() + "/agent.sock"));
}

TEST_F(AgentTest, StoppingDoesNotWaitForCallsThatWait) {
  TestProcess process;
  v1::AttachRequest request = ByPid("web-1", process.pid());
  request.mutable_wait()->set_seconds(60);
  std::thread caller([&] { Attach(request); });
  EXPECT_TRUE(server_.Next().value().has_attached());
  const auto started = std::chrono::steady_clock::now();
  agent_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(2));
  caller.join();
}

TEST_F(AgentTest, AnotherAgentIsRefusedAndChangesNothing) {
  TestProcess process;
  ASSERT_EQ(Attach(ByPid("web-1", process.pid())), StatusCode::OK) << message_;
  EXPECT_TRUE(server_.Next().value().has_attached());
  const pid_t proxy = Status().proxy_pid();
  Config same_socket = config_, same_directory = config_;
  same_socket.run_dir += "2";
  same_socket.state_dir += "2";
  same_directory.socket += "2";
  for (const Config& second : {config_, same_socket, same_directory}) {
    const absl::Status status = Agent::Start(second, FdStore(), {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr("another agent"));
  }
  EXPECT_FALSE(fs::exists(same_socket.run_dir));
  EXPECT_TRUE(fs::exists(CaFiles("web-1") + "/ca.crt"));
  EXPECT_EQ(List().containers_size(), 1);
  EXPECT_EQ(Status().proxy_pid(), proxy);
  // The control plane has heard of no other: what comes next is still this one's.
  EXPECT_EQ(Detach("web-1"), StatusCode::OK);
  EXPECT_EQ(server_.Next().value().detached().container_id(), "web-1");
}

TEST_F(AgentTest, ASocketThatNobodyAnswersIsReplaced) {
  agent_.reset();
  const std::string path = config_.socket_path();
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  {
    UniqueFd left(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(left.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_TRUE(fs::exists(path));
  StartAgent();
  EXPECT_EQ(Status().host_name(), "host-7");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace
}  // namespace sallyport::agent
