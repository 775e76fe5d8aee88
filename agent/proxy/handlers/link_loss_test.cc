// Connections that end, and peers that do not speak HTTP/2.

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <string>

#include "agent/proxy/handlers/link_fixture.h"
#include "agent/proxy/handlers/not_processed.h"

namespace sallyport::proxy {
namespace {

using std::string_literals::operator""s;

TEST_F(LinkTest, ALostConnectionEndsEveryCallAtOnce) {
  for (const Stream::How how : {Stream::How::kGraceful, Stream::How::kReset}) {
    Connect();
    const auto one = Begin(1);
    const auto two = Begin(3);
    std::optional<Received> first;
    Begin(one->Receive(SteadyTime::max()), &first);
    peer_->Close(how);
    EXPECT_TRUE(Until([&] { return first.has_value(); }));
    EXPECT_EQ(first->status().code(), absl::StatusCode::kUnavailable);
    EXPECT_FALSE(IsNotProcessed(first->status()));
    EXPECT_EQ(Receive(*two).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(Send(*two, Body(1)).code(), absl::StatusCode::kUnavailable);
    EXPECT_FALSE(link_->usable());
    EXPECT_EQ(link_->Call().status().code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(LinkTest, WhatCameBeforeTheLossIsDelivered) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(3));
  Settle();
  peer_->Close(Stream::How::kGraceful);
  Settle();
  EXPECT_EQ(Receive(*call)->body().size(), 3u);
  EXPECT_EQ(Receive(*call).status(), absl::UnavailableError("the handler closed the connection"));
}

TEST_F(LinkTest, ACallThatWasNeverWrittenWasNotProcessed) {
  Connect();
  Settle();
  const auto call = Call();
  link_->Close();
  EXPECT_TRUE(IsNotProcessed(Receive(*call).status()));
}

TEST_F(LinkTest, CloseEndsEveryCall) {
  Connect();
  const auto call = Begin(1);
  link_->Close();
  EXPECT_EQ(Receive(*call).status(),
            absl::UnavailableError("the connection to the handler was closed here"));
  EXPECT_TRUE(Until([&] { return peer_->connection_ended(); }));
  EXPECT_FALSE(link_->usable());
}

TEST_F(LinkTest, AfterGoawayOnlyTheCallsThatItNamesGoOn) {
  Connect();
  const auto one = Begin(1);
  const auto two = Begin(3);
  peer_->SendGoaway(1, NGHTTP2_NO_ERROR);
  EXPECT_TRUE(IsNotProcessed(Receive(*two).status()));
  EXPECT_FALSE(link_->usable());
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(3));
  peer_->SendTrailers(1);
  EXPECT_TRUE(Receive(*one).ok());
  EXPECT_EQ(Receive(*one).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(LinkTest, ACallThatMeetsGoawayWasNotProcessed) {
  Connect();
  Settle();
  const auto call = Call();
  peer_->SendGoaway(0, NGHTTP2_NO_ERROR);
  const absl::Status status = Receive(*call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(IsNotProcessed(status)) << status;
}

TEST_F(LinkTest, ThePeersLimitOfStreamsHolds) {
  FakePeer::Options two;
  two.max_streams = 2;
  Connect(two);
  Settle();
  auto first = Begin(1);
  const auto second = Begin(3);
  EXPECT_FALSE(link_->usable());
  EXPECT_TRUE(IsNotProcessed(link_->Call().status()));
  first = nullptr;
  EXPECT_TRUE(Until([&] { return link_->usable(); }));
}

TEST_F(LinkTest, ALinkThatIsLetGoOfClosesWithItsLastCall) {
  Connect();
  auto call = Begin(1);
  link_ = nullptr;
  Settle();
  EXPECT_FALSE(peer_->connection_ended());
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(3));
  EXPECT_EQ(Receive(*call)->body().size(), 3u);
  call = nullptr;
  EXPECT_TRUE(Until([&] { return peer_->connection_ended(); }));
}

TEST_F(LinkTest, AnIdleLinkThatIsLetGoOfCloses) {
  Connect();
  Settle();
  link_ = nullptr;
  EXPECT_TRUE(Until([&] { return peer_->connection_ended(); }));
}

struct Garbage {
  const char* name;
  std::string bytes;
};

class LinkGarbageTest : public LinkTest, public testing::WithParamInterface<Garbage> {};

TEST_P(LinkGarbageTest, IsInternalAndTheEndOfTheConnection) {
  ConnectRaw();
  const auto call = Call();
  Settle();
  stream_->Receive(GetParam().bytes);
  EXPECT_EQ(Receive(*call).status(), absl::InternalError("the handler's bytes are not HTTP/2"));
  EXPECT_FALSE(link_->usable());
  std::array<char, 4096> buffer;
  while (true) {
    const absl::StatusOr<size_t> count = RunTask(context_, raw_->Read(buffer));
    if (!count.ok() || *count == 0) break;
  }
}

// A frame: length, type, flags, stream, payload.
std::string Frame(char type, char flags, char stream, const std::string& payload) {
  return "\0\0"s + static_cast<char>(payload.size()) + type + flags + "\0\0\0"s + stream + payload;
}
const std::string kSettings = Frame(4, 0, 0, "");
const std::string kAcknowledged = Frame(4, 1, 0, "");

INSTANTIATE_TEST_SUITE_P(
    Garbage, LinkGarbageTest,
    testing::Values(Garbage{"Http1", "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"},
                    Garbage{"Zeros", std::string(200, '\0')},
                    Garbage{"FrameAboveItsLimit", kSettings + "\xff\xff\xff\0\0\0\0\0\1"s},
                    Garbage{"DataOnStreamZero", kSettings + Frame(0, 0, 0, "abc")},
                    Garbage{"HeadersOnAnEvenStream", kSettings + Frame(1, 4, 2, "\x88"s)},
                    Garbage{"PushPromise",
                            kSettings + kAcknowledged + Frame(5, 4, 1, "\0\0\0\2\x82"s)},
                    Garbage{"BadHpack", kSettings + Frame(1, 4, 1, "\xff\xff\xff\xff\xff\xff"s)},
                    Garbage{"WindowAboveItsLimit", kSettings + Frame(8, 0, 0, "\x7f\xff\xff\xff"s)},
                    Garbage{"ContinuationWithoutHeaders", kSettings + Frame(9, 4, 1, "\x88"s)}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sallyport::proxy
