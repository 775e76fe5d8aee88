#include "agent/proxy/http2_origins.h"

#include <gtest/gtest.h>

#include "agent/proxy/testing/h2_frames.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/policy/policy_testing.h"

namespace sallyport::proxy {
namespace {

using Use = Http2Origins::Use;

constexpr uint16_t kMaxStreamsSetting = 3;
constexpr uint16_t kConnectSetting = 8;

AddressVerdict MayDialAny(const IpAddress&) { return MayDial{}; }
AddressVerdict MayDialNone(const IpAddress&) { return Deny{Reason::kDeniedHost, {}}; }

class Http2OriginsTest : public testing::Test {
 protected:
  // Returns the origin's end.
  MemoryStream& Add(const std::string& host, const std::string& first_bytes = h2::Settings({})) {
    auto [stream, origin] = MemoryStream::MakePair(context_);
    MemoryStream* const received = stream.get();
    origins_.Add(KeyOf(host), std::move(stream), AddressOf("203.0.113.10"));
    received->Receive(first_bytes);
    RunReady(context_);
    ends_.push_back(std::move(origin));
    return *ends_.back();
  }
  static OriginKey KeyOf(const std::string& host) {
    return OriginKey{true, OriginHttp::kByAlpn, HostOf(host), 443};
  }
  // A stream that has begun.
  std::unique_ptr<OriginConnection> Begin(const std::string& host) {
    std::unique_ptr<OriginConnection> taken = origins_.Take(KeyOf(host), Use::kRequest, MayDialAny);
    if (taken == nullptr) return nullptr;
    RequestHead head;
    head.method = "GET";
    head.target = "/";
    EXPECT_TRUE(RunTask(context_, taken->http->WriteHead(head, host)).ok());
    RunReady(context_);
    return taken;
  }

  boost::asio::io_context context_{1};
  Http2Origins origins_{context_};
  std::vector<std::unique_ptr<MemoryStream>> ends_;
};

TEST_F(Http2OriginsTest, IsSharedByRequestsOfOneHostOnly) {
  Add("good.test");
  const auto first = Begin("good.test");
  const auto second = Begin("good.test");
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(first->reused);
  EXPECT_EQ(first->address, AddressOf("203.0.113.10"));
  // UT21: whatever its certificate says.
  EXPECT_EQ(Begin("www.good.test"), nullptr);
  OriginKey other_port = KeyOf("good.test");
  other_port.port = 8443;
  EXPECT_EQ(origins_.Take(other_port, Use::kRequest, MayDialAny), nullptr);
}

TEST_F(Http2OriginsTest, AFullConnectionIsPassedOver) {
  Add("good.test", h2::Settings({{kMaxStreamsSetting, 1}}));
  auto first = Begin("good.test");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(Begin("good.test"), nullptr);
  EXPECT_EQ(origins_.CountOf(KeyOf("good.test")), 1u);
  origins_.room().Reset();
  first = nullptr;
  RunReady(context_);
  EXPECT_TRUE(origins_.room().notified());
  EXPECT_NE(Begin("good.test"), nullptr);
}

TEST_F(Http2OriginsTest, TheNewestIsTakenFirst) {
  Add("good.test");
  MemoryStream& newest = Add("good.test");
  const size_t before = newest.written().size();
  const auto taken = Begin("good.test");
  // What it sent came to this origin.
  std::array<char, 1024> buffer;
  EXPECT_GT(RunTask(context_, newest.Read(buffer)).value(), before);
  EXPECT_EQ(origins_.CountOf(KeyOf("good.test")), 2u);
}

TEST_F(Http2OriginsTest, AForbiddenAddressGetsNoNewStream) {
  Add("good.test");
  const auto open = Begin("good.test");
  EXPECT_EQ(origins_.Take(KeyOf("good.test"), Use::kRequest, MayDialNone), nullptr);
  // Nor when it is permitted again: the connection ends with what is open.
  EXPECT_EQ(Begin("good.test"), nullptr);
  EXPECT_EQ(origins_.CountOf(KeyOf("good.test")), 0u);
}

TEST_F(Http2OriginsTest, SaysWhatAnEnforcingClassWouldDeny) {
  Add("good.test");
  const auto taken = origins_.Take(
      KeyOf("good.test"), Use::kRequest,
      [](const IpAddress&) -> AddressVerdict { return MayDial{Reason::kForbiddenAddress}; });
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->would_deny, Reason::kForbiddenAddress);
}

TEST_F(Http2OriginsTest, WebSocketsGoWhereTheyAreTaken) {
  Add("good.test");
  EXPECT_EQ(origins_.Take(KeyOf("good.test"), Use::kWebSocket, MayDialAny), nullptr);
  Add("good.test", h2::Settings({{kConnectSetting, 1}}));
  EXPECT_NE(origins_.Take(KeyOf("good.test"), Use::kWebSocket, MayDialAny), nullptr);
}

TEST_F(Http2OriginsTest, ClearEndsAllOfThem) {
  MemoryStream& origin = Add("good.test");
  const auto open = Begin("good.test");
  origins_.Clear();
  RunReady(context_);
  EXPECT_TRUE(origin.was_reset());
  EXPECT_EQ(Begin("good.test"), nullptr);
}

TEST_F(Http2OriginsTest, KeepsSoManyAtMost) {
  for (size_t i = 0; i < Http2Origins::kMaxConnections + 1; ++i)
    Add("h" + std::to_string(i) + ".test");
  size_t alive = 0;
  for (size_t i = 0; i < Http2Origins::kMaxConnections + 1; ++i)
    alive += origins_.CountOf(KeyOf("h" + std::to_string(i) + ".test"));
  EXPECT_EQ(alive, Http2Origins::kMaxConnections);
}

TEST_F(Http2OriginsTest, TheLongestUnusedMakesRoom) {
  const auto host = [](size_t i) { return "h" + std::to_string(i) + ".test"; };
  for (size_t i = 0; i < Http2Origins::kMaxConnections; ++i) Add(host(i));
  EXPECT_NE(Begin(host(0)), nullptr);
  RunReady(context_);
  // Each of these is yet to be used when the next comes.
  constexpr size_t kMore = 50;
  for (size_t i = 0; i < kMore; ++i) Add(host(Http2Origins::kMaxConnections + i));
  for (size_t i = 0; i < Http2Origins::kMaxConnections + kMore; ++i)
    EXPECT_EQ(origins_.CountOf(KeyOf(host(i))), i >= 1 && i <= kMore ? 0u : 1u) << i;
}

TEST_F(Http2OriginsTest, RemembersWhatAnOriginSpeaks) {
  EXPECT_EQ(origins_.SpeaksHttp2(KeyOf("good.test")), std::nullopt);
  origins_.Remember(KeyOf("good.test"), true);
  origins_.Remember(KeyOf("old.test"), false);
  EXPECT_EQ(origins_.SpeaksHttp2(KeyOf("good.test")), true);
  EXPECT_EQ(origins_.SpeaksHttp2(KeyOf("old.test")), false);
}

TEST_F(Http2OriginsTest, RemembersWhatAnOriginWants) {
  EXPECT_FALSE(origins_.RequiresHttp1(KeyOf("good.test")));
  origins_.Remember(KeyOf("good.test"), true);
  EXPECT_FALSE(origins_.RequiresHttp1(KeyOf("good.test")));
  origins_.RequireHttp1(KeyOf("good.test"));
  EXPECT_TRUE(origins_.RequiresHttp1(KeyOf("good.test")));
  EXPECT_EQ(origins_.SpeaksHttp2(KeyOf("good.test")), false);
}

}  // namespace
}  // namespace sallyport::proxy
