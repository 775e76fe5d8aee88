#include "agent/proxy_supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "agent/attach/redirect.h"
#include "agent/testing/proxy_fixture.h"
#include "agent/testing/test_network.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using testing::ElementsAre;
using Lines = std::vector<std::string>;

// A container in a namespace of its own.
struct TestContainer {
  explicit TestContainer(const std::string& id) {
    auto made = std::make_shared<ProxyContainer>();
    made->id = id;
    made->ca.certificate_der = "certificate";
    made->ca.private_key_der = "key";
    made->sockets = RedirectNamespace(network.Open()).value().sockets;
    container = std::move(made);
  }
  // Which process answers a connection made inside; 0: none did.
  int Ask() const {
    UniqueFd client = network.Socket(AF_INET, SOCK_STREAM);
    const TestAddress address("198.51.100.7", 80);
    if (connect(client.get(), address.get(), address.length()) != 0) return 0;
    return Answer(client);
  }
  static int Answer(const UniqueFd& client) {
    if (!WaitFor(client.get(), POLLIN)) return 0;
    char text[32] = {};
    return recv(client.get(), text, sizeof(text) - 1, 0) > 0 ? std::atoi(text) : 0;
  }

  TestNetwork network;
  std::shared_ptr<const ProxyContainer> container;
};

class ProxySupervisorTest : public testing::Test {
 protected:
  static void Kill(const ProxySupervisor& supervisor) {
    const pid_t pid = supervisor.state().pid;
    ASSERT_GT(pid, 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
  }
  ProxyFixture fixture_;
};

TEST_F(ProxySupervisorTest, StartsWithAnEmptyEnvironmentAndConfigures) {
  auto supervisor = fixture_.Supervisor();
  ASSERT_TRUE(fixture_.WaitForLine("policy 0 reset"));
  EXPECT_THAT(fixture_.Log(), ElementsAre("start", "configure workers=2 fds=1", "policy 0 reset"));
}

TEST_F(ProxySupervisorTest, HandsOverTheAuditFile) {
  ProxySupervisor::Options options = fixture_.Options();
  options.audit_file.Reset(open("/dev/null", O_WRONLY | O_CLOEXEC));
  ProxySupervisor supervisor(std::move(options), fixture_.cache(), fixture_.no_store());
  EXPECT_TRUE(fixture_.WaitForLine("configure workers=2 fds=2"));
}

TEST_F(ProxySupervisorTest, TheProxyServesAContainerFromOutside) {
  auto supervisor = fixture_.Supervisor();
  TestContainer web("web-1");
  ASSERT_TRUE(supervisor->AddContainer(web.container, TestDeadline()).ok());
  EXPECT_GT(web.Ask(), 0);
}

TEST_F(ProxySupervisorTest, ARemovedContainerIsServedNoMore) {
  auto supervisor = fixture_.Supervisor();
  TestContainer web("web-1");
  ASSERT_TRUE(supervisor->AddContainer(web.container, TestDeadline()).ok());
  supervisor->RemoveContainer("web-1");
  supervisor->RemoveContainer("never-there");
  EXPECT_EQ(fixture_.Log().back(), "remove web-1 fds=0");
  // Nothing here holds the sockets any more.
  EXPECT_EQ(web.container.use_count(), 1);
}

TEST_F(ProxySupervisorTest, ARefusedContainerIsAnError) {
  auto supervisor = fixture_.Supervisor({"--refuse=web-1"});
  TestContainer web("web-1");
  EXPECT_EQ(supervisor->AddContainer(web.container, TestDeadline()).code(),
            absl::StatusCode::kInternal);
  EXPECT_EQ(web.container.use_count(), 1);
}

TEST_F(ProxySupervisorTest, PolicyIsInTheProxyAndInTheCache) {
  auto supervisor = fixture_.Supervisor({"--reject=b"});
  auto rejected = supervisor->UpdatePolicy(TestDelta(5, {"a", "b"}), TestDeadline());
  ASSERT_TRUE(rejected.ok()) << rejected.status();
  ASSERT_EQ(rejected->size(), 1u);
  EXPECT_EQ((*rejected)[0].key().name(), "b");
  EXPECT_EQ(fixture_.Log().back(), "policy 5 +a +b");
  EXPECT_EQ(fixture_.cache()->revision(), 5u);
  EXPECT_EQ(fixture_.cache()->ClassOf("a"), "agents");
  EXPECT_EQ(fixture_.cache()->ClassOf("b"), std::nullopt);
}

TEST_F(ProxySupervisorTest, UsageIsWhatTheProxySays) {
  auto supervisor = fixture_.Supervisor();
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {}), TestDeadline()).ok());
  const absl::StatusOr<v1::UsageResponse> usage = supervisor->Usage();
  ASSERT_TRUE(usage.ok()) << usage.status();
  EXPECT_EQ(usage->proxy().connections(), 7);
}

TEST_F(ProxySupervisorTest, TheProxyIsGivenTheNextAuditFile) {
  auto supervisor = fixture_.Supervisor();
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {}), TestDeadline()).ok());
  supervisor->SetAuditFile(UniqueFd(open("/dev/null", O_WRONLY | O_CLOEXEC)));
  EXPECT_EQ(fixture_.Log().back(), "audit file fds=1");
}

TEST_F(ProxySupervisorTest, WithoutAProxyThereIsNoUsage) {
  auto supervisor = fixture_.Supervisor({"--exit=1"});
  EXPECT_EQ(supervisor->Usage().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ProxySupervisorTest, AStaleDeltaReachesNobody) {
  auto supervisor = fixture_.Supervisor();
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {"a"}), TestDeadline()).ok());
  EXPECT_EQ(supervisor->UpdatePolicy(TestDelta(4, {"a"}), TestDeadline()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(fixture_.Log().back(), "policy 5 +a");
}

TEST_F(ProxySupervisorTest, ForgetTakesRulesFromProxyAndCache) {
  auto supervisor = fixture_.Supervisor();
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {"a"}), TestDeadline()).ok());
  supervisor->ForgetPolicy("a");
  EXPECT_EQ(fixture_.Log().back(), "policy 5 -a");
  EXPECT_EQ(fixture_.cache()->ClassOf("a"), std::nullopt);
}

TEST_F(ProxySupervisorTest, ANewProxyHasEverythingOfTheOldPolicyFirst) {
  auto supervisor = fixture_.Supervisor();
  TestContainer one("one"), two("two");
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {"one", "two"}), TestDeadline()).ok());
  ASSERT_TRUE(supervisor->AddContainer(one.container, TestDeadline()).ok());
  ASSERT_TRUE(supervisor->AddContainer(two.container, TestDeadline()).ok());
  const int before = one.Ask();
  Kill(*supervisor);
  const auto killed = std::chrono::steady_clock::now();
  // Made while there is no proxy, or after: nobody is refused.
  const int after = one.Ask();
  EXPECT_LT(std::chrono::steady_clock::now() - killed, std::chrono::seconds(5));
  EXPECT_GT(after, 0);
  EXPECT_NE(after, before);
  ASSERT_TRUE(fixture_.WaitForLine("add two fds=4", 2));
  const Lines log = fixture_.Log();
  EXPECT_THAT(Lines(log.end() - 5, log.end()),
              ElementsAre("start", "configure workers=2 fds=1", "policy 5 reset +one +two",
                          "add one fds=4", "add two fds=4"));
  EXPECT_EQ(supervisor->state().restarts, 1u);
}

TEST_F(ProxySupervisorTest, AProxyIsReplacedOnceTheNextOneServes) {
  auto supervisor = fixture_.Supervisor();
  TestContainer web("web-1");
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {"web-1"}), TestDeadline()).ok());
  ASSERT_TRUE(supervisor->AddContainer(web.container, TestDeadline()).ok());
  const int before = web.Ask();
  const absl::StatusOr<pid_t> after = supervisor->Restart(TestDeadline());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_NE(*after, before);
  EXPECT_EQ(supervisor->state().pid, *after);
  EXPECT_EQ(supervisor->state().restarts, 1u);
  const Lines log = fixture_.Log();
  EXPECT_THAT(Lines(log.end() - 5, log.end()),
              ElementsAre("start", "configure workers=2 fds=1", "policy 5 reset +web-1",
                          "add web-1 fds=4", "drain 60000"));
  EXPECT_EQ(web.Ask(), *after);
}

TEST_F(ProxySupervisorTest, AProxyThatDrainsHearsOfChanges) {
  auto supervisor = fixture_.Supervisor({"--linger=yes"});
  TestContainer web("web-1");
  ASSERT_TRUE(supervisor->AddContainer(web.container, TestDeadline()).ok());
  ASSERT_TRUE(supervisor->Restart(TestDeadline()).ok());
  EXPECT_EQ(supervisor->state().draining, 1u);
  ASSERT_TRUE(supervisor->UpdatePolicy(TestDelta(5, {"web-1"}), TestDeadline()).ok());
  supervisor->RemoveContainer("web-1");
  const Lines log = fixture_.Log();
  EXPECT_THAT(Lines(log.end() - 4, log.end()),
              ElementsAre("policy 5 +web-1", "policy 5 +web-1", "remove web-1 fds=0",
                          "remove web-1 fds=0"));
  // What it is given is for the one that serves.
  EXPECT_EQ(std::count(log.begin(), log.end(), "add web-1 fds=4"), 2);
}

TEST_F(ProxySupervisorTest, OnlySoManyProxiesDrainAtOnce) {
  auto supervisor = fixture_.Supervisor({"--linger=yes"});
  absl::Status status = supervisor->UpdatePolicy(TestDelta(5, {}), TestDeadline()).status();
  int restarts = -1;
  for (; status.ok() && restarts < 100; ++restarts)
    status = supervisor->Restart(TestDeadline()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(restarts, 16);
}

TEST_F(ProxySupervisorTest, AProxyThatCannotBeReplacedGoesOn) {
  ProxySupervisor::Options options = fixture_.Options();
  const std::string program = fixture_.directory() + "/proxy";
  std::filesystem::copy_file(options.program.binary, program);
  options.program.binary = program;
  ProxySupervisor supervisor(std::move(options), fixture_.cache(), fixture_.no_store());
  TestContainer web("web-1");
  ASSERT_TRUE(supervisor.AddContainer(web.container, TestDeadline()).ok());
  const int before = web.Ask();
  std::filesystem::remove(program);
  const absl::Status status = supervisor.Restart(TestDeadline()).status();
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("cannot be executed"));
  EXPECT_EQ(supervisor.state().pid, before);
  EXPECT_EQ(web.Ask(), before);
}

TEST_F(ProxySupervisorTest, CallsOutliveTheProxyThatTheyWereMadeTo) {
  for (const std::string command : {"configure", "add", "policy"}) {
    for (const std::string how : {"--die-once-on=", "--hang-once-on="}) {
      ProxyFixture fixture;
      ProxySupervisor::Options options = fixture.Options({how + command});
      if (how.starts_with("--hang")) options.program.answer_timeout = std::chrono::seconds(2);
      ProxySupervisor supervisor(std::move(options), fixture.cache(), fixture.no_store());
      TestContainer web("web-1");
      EXPECT_TRUE(supervisor.UpdatePolicy(TestDelta(5, {"web-1"}), TestDeadline()).ok())
          << how << command;
      EXPECT_TRUE(supervisor.AddContainer(web.container, TestDeadline()).ok()) << how << command;
      EXPECT_GT(web.Ask(), 0) << how << command;
      EXPECT_EQ(supervisor.state().restarts, 1u) << how << command;
    }
  }
}

TEST_F(ProxySupervisorTest, AProxyThatDiesOfARemovalDoesNotGetTheContainerBack) {
  auto supervisor = fixture_.Supervisor({"--die-once-on=remove"});
  TestContainer web("web-1");
  ASSERT_TRUE(supervisor->AddContainer(web.container, TestDeadline()).ok());
  supervisor->RemoveContainer("web-1");
  ASSERT_TRUE(fixture_.WaitForLine("policy 0 reset", 2));
  EXPECT_EQ(fixture_.Log().back(), "policy 0 reset");
}

// What a call says while there is no proxy, once one has failed to start.
std::string SaidWithoutProxy(ProxySupervisor* supervisor) {
  absl::Status status;
  do {
    const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
    status = supervisor->UpdatePolicy(TestDelta(1, {}), soon).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  } while (supervisor->state().restarts < 2);
  return std::string(status.message());
}

TEST_F(ProxySupervisorTest, AProxyThatCannotStartIsSaidAndTriedAgain) {
  auto supervisor = fixture_.Supervisor({"--exit=3"});
  EXPECT_THAT(SaidWithoutProxy(supervisor.get()), testing::HasSubstr("exited with status 3"));
  EXPECT_EQ(supervisor->state().pid, 0);
}

TEST_F(ProxySupervisorTest, AMissingProgramIsSaid) {
  ProxySupervisor::Options options = fixture_.Options();
  options.program.binary = "/nonexistent/sallyport-proxy";
  ProxySupervisor supervisor(std::move(options), fixture_.cache(), fixture_.no_store());
  EXPECT_THAT(SaidWithoutProxy(&supervisor), testing::HasSubstr("cannot be executed"));
}

TEST_F(ProxySupervisorTest, StopEndsTheProxyAndEveryWait) {
  auto supervisor = fixture_.Supervisor({"--hang-once-on=policy"});
  ASSERT_TRUE(fixture_.WaitForLine("policy 0 reset"));
  absl::Status status;
  std::thread caller(
      [&] { status = supervisor->UpdatePolicy(TestDelta(1, {}), TestDeadline()).status(); });
  supervisor->Stop();
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

v1::Delta HandlerDelta(uint64_t revision, const v1::SecretReference& secret) {
  v1::Delta delta;
  delta.set_epoch(1);
  delta.set_revision(revision);
  v1::Handler& handler = *delta.add_updated()->mutable_handler();
  handler.set_name("h");
  *handler.mutable_builtin()->add_set_headers()->mutable_secret() = secret;
  return delta;
}

TEST_F(ProxySupervisorTest, SecretsComeWithThePolicyAndWithANewProxy) {
  ProxySupervisor::Options options = fixture_.Options();
  options.secrets_dir = fixture_.directory();
  ProxySupervisor supervisor(std::move(options), fixture_.cache(), fixture_.no_store());
  v1::SecretReference reference;
  reference.set_secret("github");
  v1::Delta delta = HandlerDelta(1, reference);
  v1::Secret& secret = *delta.add_updated()->mutable_secret();
  secret.set_name("github");
  secret.set_value("hunter2");
  ASSERT_TRUE(supervisor.UpdatePolicy(delta, TestDeadline()).ok());
  EXPECT_TRUE(fixture_.WaitForLine("policy 1 +h secrets secret github=hunter2"));
  EXPECT_EQ(fixture_.cache()->Full().SerializeAsString().find("hunter2"), std::string::npos);
  Kill(supervisor);
  EXPECT_TRUE(fixture_.WaitForLine("policy 1 reset +h secrets secret github=hunter2"));

  v1::Delta gone;
  gone.set_epoch(1);
  gone.set_revision(2);
  gone.add_removed()->set_kind(v1::RESOURCE_KIND_SECRET);
  gone.mutable_removed(0)->set_name("github");
  ASSERT_TRUE(supervisor.UpdatePolicy(gone, TestDeadline()).ok());
  EXPECT_TRUE(fixture_.WaitForLine("policy 2 secrets secret github?"));
}

TEST_F(ProxySupervisorTest, AChangedFileIsToldOnce) {
  ProxySupervisor::Options options = fixture_.Options();
  options.secrets_dir = fixture_.directory();
  ProxySupervisor supervisor(std::move(options), fixture_.cache(), fixture_.no_store());
  v1::SecretReference reference;
  reference.set_file("token");
  std::ofstream(fixture_.directory() + "/token") << "one";
  ASSERT_TRUE(fixture_.WaitForLine("policy 0 reset"));
  ASSERT_TRUE(supervisor.UpdatePolicy(HandlerDelta(1, reference), TestDeadline()).ok());
  EXPECT_TRUE(fixture_.WaitForLine("policy 1 +h secrets file token=one"));
  supervisor.RefreshSecrets();
  std::ofstream(fixture_.directory() + "/token") << "two";
  supervisor.RefreshSecrets();
  supervisor.RefreshSecrets();
  EXPECT_THAT(fixture_.Log(),
              ElementsAre("start", "configure workers=2 fds=1", "policy 0 reset",
                          "policy 1 +h secrets file token=one", "secrets file token=two"));
}

}  // namespace
}  // namespace sallyport::agent
