#include "agent/proxy/upgrade.h"

#include <gtest/gtest.h>

#include <utility>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "agent/proxy/worker.h"
#include "common/policy/policy_testing.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kAsk =
    "GET /w HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
constexpr std::string_view kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
constexpr char kToHandler[] = "outbound { handler: 'h' } ";

// A container whose request to a.test has been answered with 101, over streams in memory.
class UpgradeTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<Worker>> worker =
        Worker::Create(std::make_shared<WorkerConfig>());
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    Container::Parts parts;
    parts.budget = std::make_shared<ContainerBudget>(ContainerLimits());
    parts.leases = std::make_shared<LeaseTable>();
    parts.id = "i";
    container_ = std::make_shared<Container>(worker_.get(), std::move(parts));
    SetPolicy("");
    client_ = MemoryStream::MakePair(worker_->io_context());
    origin_ = MemoryStream::MakePair(worker_->io_context());
    origin_stream_ = origin_.first.get();
  }

  void SetPolicy(const std::string& class_fields) {
    auto snapshot = std::make_shared<PolicySnapshot>();
    snapshot->containers["i"] = std::make_shared<EffectivePolicy>(Given(class_fields));
    worker_->SwapSnapshot(std::move(snapshot));
    container_->OnPolicyChange();
  }

  // `client` and `origin`: sent behind the request's head and behind the 101.
  void Upgrade(std::string_view client, std::string_view origin,
               const std::string& origin_host = "a.test") {
    client_.first->Receive(std::string(kAsk) + std::string(client));
    http_ = std::make_unique<H1ServerConnection>(client_.first.get(), "", H1Limits{}, H1Timeouts{});
    const auto asked = RunTask(worker_->io_context(), http_->ReadHead());
    ASSERT_TRUE(std::get<RequestHead>(asked).websocket);

    auto connection = std::make_unique<OriginConnection>();
    connection->http =
        std::make_unique<H1ClientConnection>(std::move(origin_.first), H1Limits{}, H1Timeouts{});
    connection->address = AddressOf("203.0.113.10");
    RequestHead head;
    head.method = "GET";
    head.target = "/w";
    head.websocket = true;
    ASSERT_TRUE(RunTask(worker_->io_context(), connection->http->WriteHead(head, "a.test")).ok());
    ASSERT_TRUE(RunTask(worker_->io_context(), connection->http->FinishBody(Headers())).ok());
    sent_to_origin_ = origin_stream_->written().size();
    origin_stream_->Receive(std::string(kSwitch) + std::string(origin));
    absl::StatusOr<ResponseHead> answer =
        RunTask(worker_->io_context(), connection->http->ReadHead(std::chrono::seconds(10)));
    ASSERT_TRUE(answer.ok()) << answer.status();
    RemoveHopByHop(&answer->headers);
    upgraded_ = std::make_unique<UpgradedConnection>(
        container_, client_.first.get(),
        UpgradedConnection::Parts{Destination{RequestScheme::kHttp, HostOf("a.test"), 80},
                                  AddressOf("198.51.100.7"), RequestScheme::kHttp,
                                  HostOf(origin_host), std::move(connection), *std::move(answer)});
  }
  std::string Relay() { return RunTask(worker_->io_context(), upgraded_->Relay(http_.get())); }
  std::string ToOrigin() const { return origin_stream_->written().substr(sent_to_origin_); }
  bool open() const { return !client_.first->was_reset() && !origin_stream_->was_reset(); }

  std::unique_ptr<Worker> worker_;
  ContainerPtr container_;
  MemoryStream::Pair client_, origin_;
  MemoryStream* origin_stream_ = nullptr;
  std::unique_ptr<H1ServerConnection> http_;
  std::unique_ptr<UpgradedConnection> upgraded_;
  size_t sent_to_origin_ = 0;
};

TEST_F(UpgradeTest, PassesBothWaysFromTheFirstByte) {
  Upgrade("ping", "hello ");
  client_.first->ReceiveEnd();
  origin_stream_->Receive("pong");
  origin_stream_->ReceiveEnd();
  EXPECT_EQ(Relay(), "");
  EXPECT_EQ(ToOrigin(), "ping");
  EXPECT_EQ(client_.first->written(), std::string(kSwitch) + "hello pong");
  EXPECT_EQ(upgraded_->bytes().from_client, 4u);
  EXPECT_EQ(upgraded_->bytes().to_client, 10u);
  EXPECT_TRUE(open());
}

TEST_F(UpgradeTest, OneByteAtATime) {
  client_.first->set_faults({.max_read = 1});
  origin_stream_->set_faults({.max_read = 1});
  Upgrade("ping", "hello ");
  client_.first->ReceiveEnd();
  origin_stream_->ReceiveEnd();
  EXPECT_EQ(Relay(), "");
  EXPECT_EQ(ToOrigin(), "ping");
  EXPECT_EQ(client_.first->written(), std::string(kSwitch) + "hello ");
  EXPECT_EQ(upgraded_->bytes().from_client, 4u);
  EXPECT_EQ(upgraded_->bytes().to_client, 6u);
}

TEST_F(UpgradeTest, NothingGoesToTheOriginBeforeTheContainerIsTold) {
  Upgrade("ping", "");
  EXPECT_EQ(ToOrigin(), "");
  client_.first->set_faults({.reset_write_at = 0});
  EXPECT_EQ(Relay(), "the container hung up before the answer");
  EXPECT_EQ(ToOrigin(), "");
  EXPECT_TRUE(origin_stream_->was_reset());
}

Task<void> RelayAside(UpgradedConnection* upgraded, H1ServerConnection* http, std::string* end) {
  *end = co_await upgraded->Relay(http);
}

TEST_F(UpgradeTest, ADenialEndsBothSidesAtOnce) {
  Upgrade("", "");
  std::string end = "not yet";
  Spawn(worker_->io_context(), RelayAside(upgraded_.get(), http_.get(), &end));
  RunReady(worker_->io_context());
  SetPolicy("denied_hosts { hosts: 'b.test' }");
  EXPECT_TRUE(open());
  SetPolicy("denied_hosts { hosts: 'a.test' }");
  EXPECT_TRUE(client_.first->was_reset());
  EXPECT_TRUE(origin_stream_->was_reset());
  RunReady(worker_->io_context());
  EXPECT_EQ(end, "closed by a change of policy or by detachment");
}

TEST_F(UpgradeTest, HasTheIdleTimeOfARelay) {
  Upgrade("", "");
  std::string end;
  Spawn(worker_->io_context(), RelayAside(upgraded_.get(), http_.get(), &end));
  RunReady(worker_->io_context());
  const SteadyTime at_first = client_.first->deadline();
  const auto idle = container_->limits().Time(Limit::kRelayIdleTimeoutMs);
  EXPECT_GT(at_first, std::chrono::steady_clock::now() + idle - std::chrono::minutes(1));
  EXPECT_LE(at_first, std::chrono::steady_clock::now() + idle);
  origin_stream_->Receive("news");
  RunReady(worker_->io_context());
  EXPECT_GT(client_.first->deadline(), at_first);
  EXPECT_GT(origin_stream_->deadline(), at_first);
  client_.first->SetDeadline(std::chrono::steady_clock::now());
  RunReady(worker_->io_context());
  EXPECT_FALSE(open());
}

TEST_F(UpgradeTest, DetachmentEndsBothSides) {
  Upgrade("", "");
  container_->Shutdown();
  EXPECT_FALSE(open());
  EXPECT_EQ(Relay(), "closed by a change of policy or by detachment");
}

TEST_F(UpgradeTest, NoPolicyEndsBothSides) {
  Upgrade("", "");
  worker_->SwapSnapshot(std::make_shared<PolicySnapshot>());
  container_->OnPolicyChange();
  EXPECT_FALSE(open());
}

struct ChangeCase {
  const char* name;
  std::string origin_host;
  std::string class_fields;
  std::string_view denied;  // The reason, or empty.
};

const ChangeCase kChangeCases[] = {
    {"Nothing", "a.test", "", ""},
    {"HostDenied", "a.test", "denied_hosts { hosts: '*.test' }", "denied_host"},
    {"NotAllowed", "a.test", "allowed_hosts { hosts: 'b.test' }", "not_allowed"},
    {"NoInternet", "a.test", "enable_internet: false", "no_internet"},
    {"AllowedWithoutInternet", "a.test", "enable_internet: false allowed_hosts { hosts: 'a.test' }",
     ""},
    {"DialledDenied", "a.test", "denied_hosts { hosts: '198.51.100.0/24' }", "denied_host"},
    {"OriginsAddressDenied", "a.test", "denied_hosts { hosts: '203.0.113.10' }", "denied_host"},
    {"MonitorMode", "a.test", "monitor: true denied_hosts { hosts: 'a.test' }", ""},
    {"HandlerComes", "a.test", kToHandler, ""},
    {"HandlerComesNoInternet", "a.test", std::string(kToHandler) + "enable_internet: false", ""},
    {"HandlerDoesNotAllow", "a.test", std::string(kToHandler) + "allowed_hosts { hosts: 'b.test' }",
     "not_allowed"},
    {"ReroutedAsBefore", "b.test", kToHandler, ""},
    {"ReroutedToDenied", "b.test", std::string(kToHandler) + "denied_hosts { hosts: 'b.test' }",
     "denied_host"},
    {"ReroutedToUnlisted", "b.test", std::string(kToHandler) + "allowed_hosts { hosts: 'a.test' }",
     ""},
    {"ReroutingHandlerGoes", "b.test", "", ""},
    {"ReroutingHandlerGoesAndOnlyThatWasTheWay", "b.test", "allowed_hosts { hosts: 'a.test' }",
     "not_allowed"},
};

class UpgradeChangeTest : public UpgradeTest, public testing::WithParamInterface<ChangeCase> {};
INSTANTIATE_TEST_SUITE_P(, UpgradeChangeTest, testing::ValuesIn(kChangeCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(UpgradeChangeTest, EndsWhatIsDeniedAndNothingElse) {
  const ChangeCase& c = GetParam();
  Upgrade("", "", c.origin_host);
  SetPolicy(c.class_fields);
  const std::optional<Denial> denial = upgraded_->DeniedBy(container_->policy().get());
  EXPECT_EQ(denial.has_value() ? ReasonName(denial->reason) : "", c.denied);
  EXPECT_EQ(open(), c.denied.empty());
}

}  // namespace
}  // namespace sallyport::proxy
