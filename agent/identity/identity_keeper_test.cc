#include "agent/identity/identity_keeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "agent/testing/proxy_fixture.h"
#include "agent/testing/sync_server.h"
#include "common/pki/testing/test_pki.h"

namespace sallyport::agent {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// With the real SyncClient and a proxy in name.
class IdentityKeeperTest : public testing::Test {
 protected:
  void StartAgent(HandlerCertificateFiles files = {}) {
    keys_ = *TokenKeys::Create(hours(24), [this] { return Now(); });
    supervisor_ = fixture_.Supervisor();
    sync_ = std::make_unique<SyncClient>(SyncClient::Options{.target = server_.target(),
                                                             .tls_dir = "",
                                                             .host_name = "host-7",
                                                             .version = "test",
                                                             .token_keys = keys_.get(),
                                                             .heard_after = milliseconds(1),
                                                             .first_pause = milliseconds(10),
                                                             .longest_pause = milliseconds(50)},
                                         supervisor_.get(), fixture_.cache());
    keeper_ = std::make_unique<IdentityKeeper>("host-7", std::move(files), keys_.get(),
                                               supervisor_.get(), sync_.get(), milliseconds(5));
  }
  TokenKeys::Time Now() const {
    return std::chrono::system_clock::from_time_t(1'800'000'000) + hours(hours_.load());
  }
  // Registers a handler that is shown the certificate.
  void RegisterHandler() {
    v1::Delta delta;
    delta.set_epoch(1);
    delta.set_revision(1);
    v1::Handler& handler = *delta.add_updated()->mutable_handler();
    handler.set_name("keys");
    handler.add_endpoints("grpcs://keys.test:1");
    handler.mutable_tls()->set_client_certificate(true);
    ASSERT_TRUE(supervisor_->UpdatePolicy(delta, TestDeadline()).ok());
  }
  std::string Line(const std::string& key_id) const { return "identity host-7 " + key_id; }

  std::atomic<int> hours_{0};
  ProxyFixture fixture_;
  SyncServer server_{fixture_.directory() + "/controlplane.sock"};
  pki::TestPki pki_;
  std::unique_ptr<TokenKeys> keys_;
  std::unique_ptr<ProxySupervisor> supervisor_;
  std::unique_ptr<SyncClient> sync_;
  std::unique_ptr<IdentityKeeper> keeper_;
};

TEST_F(IdentityKeeperTest, KeysTurnOnceTheControlPlaneKnows) {
  StartAgent();
  const std::string first = keys_->signing().id;
  EXPECT_TRUE(fixture_.WaitForLine(Line(first)));
  const auto hello = server_.Next();
  ASSERT_TRUE(hello.has_value() && hello->has_hello());
  ASSERT_EQ(hello->hello().identity_keys().keys_size(), 2);
  EXPECT_EQ(hello->hello().identity_keys().keys(0).id(), first);
  const std::string second = hello->hello().identity_keys().keys(1).id();

  // Nothing has come back yet: whether it was heard is not known.
  hours_ = 24;
  EXPECT_EQ(sync_->told_identity_keys(), 0u);
  EXPECT_EQ(keys_->signing().id, first);
  server_.SendDelta(TestDelta(1, {}));
  // The ack, and what the turn announces: in whichever order.
  auto turned = server_.Next();
  auto other = server_.Next();
  ASSERT_TRUE(turned.has_value() && other.has_value());
  if (turned->has_ack()) std::swap(turned, other);
  EXPECT_TRUE(other->has_ack());
  EXPECT_TRUE(fixture_.WaitForLine(Line(second)));
  ASSERT_TRUE(turned->has_identity_keys());
  ASSERT_EQ(turned->identity_keys().keys_size(), 3);
  const std::string third = turned->identity_keys().keys(2).id();
  // That one was sent on a stream that lives on.
  hours_ = 48;
  EXPECT_TRUE(fixture_.WaitForLine(Line(third)));
}

TEST_F(IdentityKeeperTest, AProxyThatIsStartedAnewKnows) {
  StartAgent();
  EXPECT_TRUE(fixture_.WaitForLine(Line(keys_->signing().id)));
  // It is said to be up once all that it was told is done.
  pid_t pid = 0;
  for (const auto deadline = TestDeadline();
       pid == 0 && std::chrono::steady_clock::now() < deadline;
       std::this_thread::sleep_for(milliseconds(1))) {
    pid = supervisor_->state().pid;
  }
  ASSERT_GT(pid, 0);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_TRUE(fixture_.WaitForLine(Line(keys_->signing().id), 2));
}

TEST_F(IdentityKeeperTest, TheCertificateIsGivenWhenAHandlerIsShownIt) {
  const std::string dir = pki_.Issue("host-7", pki::Role::kAgent, {"host-7"});
  StartAgent({dir + "/tls.crt", dir + "/tls.key"});
  const std::string line = Line(keys_->signing().id);
  EXPECT_TRUE(fixture_.WaitForLine(line));
  RegisterHandler();
  const std::vector<std::string> log = fixture_.Log();
  ASSERT_GE(log.size(), 2u);
  EXPECT_EQ(log[log.size() - 2], line + " certificate") << "before the policy that needs it";
  EXPECT_EQ(log.back(), "policy 1 +keys");

  pki_.Issue("host-7", pki::Role::kAgent, {"host-7"});
  EXPECT_TRUE(fixture_.WaitForLine(line + " certificate", 2)) << "it was replaced";
}

}  // namespace
}  // namespace sallyport::agent
