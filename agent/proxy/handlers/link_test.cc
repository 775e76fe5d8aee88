// Ordinary calls, and how they end.

#include "agent/proxy/handlers/link.h"

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <string>
#include <vector>

#include "agent/proxy/handlers/link_fixture.h"
#include "agent/proxy/handlers/not_processed.h"

namespace sallyport::proxy {
namespace {

using std::string_literals::operator""s;

TEST_F(LinkTest, TheRequestIsWhatGrpcWants) {
  Connect();
  const auto call = Begin(1);
  const FakePeer::Fields expected = {
      {":method", "POST"},
      {":scheme", "http"},
      {":path", "/sallyport.v1.OutboundHandler/Handle"},
      {":authority", "handler.test:7070"},
      {"te", "trailers"},
      {"content-type", "application/grpc"},
      {"user-agent", "sallyport-proxy/0.1"},
  };
  EXPECT_EQ(peer_->streams()[1].fields, expected);
  EXPECT_EQ(peer_->Messages(1)[0].start().method(), "GET");
  EXPECT_FALSE(peer_->streams()[1].ended);
  EXPECT_TRUE(Finish(*call).ok());
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].ended; }));
}

TEST_F(LinkTest, MessagesThenTheEnd) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(3));
  peer_->SendMessage(1, Piece(70000));
  peer_->SendTrailers(1);
  EXPECT_EQ(Receive(*call)->body().size(), 3u);
  EXPECT_EQ(Receive(*call)->body().size(), 70000u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Receive(*call).status(), absl::OutOfRangeError("the handler ended the call"));
  }
}

TEST_F(LinkTest, OneByteAtATime) {
  Connect();
  Faults faults;
  faults.max_read = 1;
  stream_->set_faults(faults);
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(1000));
  peer_->SendTrailers(1);
  EXPECT_EQ(Receive(*call)->body().size(), 1000u);
  EXPECT_EQ(Receive(*call).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(LinkTest, ACallBeginsWithOneWrite) {
  Connect();
  Settle();
  const int before = stream_->write_calls();
  const auto call = Call();
  EXPECT_TRUE(call->Start(Start()).ok());
  Settle();
  EXPECT_EQ(stream_->write_calls(), before + 1);
  EXPECT_EQ(peer_->Messages(1).size(), 1u);
}

TEST_F(LinkTest, WhatFollowsTheStartAtOnceComesAfterIt) {
  Connect();
  const auto call = Call();
  EXPECT_TRUE(call->Start(Start()).ok());
  EXPECT_TRUE(Send(*call, Body(3)).ok());
  ASSERT_TRUE(Until([&] { return peer_->Messages(1).size() == 2; }));
  EXPECT_TRUE(peer_->Messages(1)[0].has_start());
  EXPECT_EQ(peer_->Messages(1)[1].body(), "bbb");
}

TEST_F(LinkTest, CallsShareTheConnection) {
  Connect();
  std::vector<std::unique_ptr<HandlerCall>> calls;
  for (int i = 0; i < 50; ++i) calls.push_back(Begin(2 * i + 1));
  EXPECT_EQ(link_->calls_in_flight(), 50u);
  for (int i = 49; i >= 0; --i) {
    peer_->SendHeaders(2 * i + 1);
    peer_->SendMessage(2 * i + 1, Piece(i + 1));
    peer_->SendTrailers(2 * i + 1);
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Receive(*calls[i])->body().size(), static_cast<size_t>(i + 1));
  }
  calls.clear();
  EXPECT_EQ(link_->calls_in_flight(), 0u);
}

TEST_F(LinkTest, AStatusThatIsNotOkIsInternal) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1,
                     {{":status", "200"},
                      {"content-type", "application/grpc"},
                      {"grpc-status", "5"},
                      {"grpc-message", "no such handler"}},
                     true);
  EXPECT_EQ(Receive(*call).status(),
            absl::InternalError("the handler ended the call with NOT_FOUND: no such handler"));
}

// What the peer sends on a stream makes the answer INTERNAL, and the stream is reset so that it can
// stop.
struct Breach {
  const char* name;
  FakePeer::Fields headers;
  std::string bytes;
  const char* error;
};

class LinkBreachTest : public LinkTest, public testing::WithParamInterface<Breach> {};

TEST_P(LinkBreachTest, IsInternalAndReset) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1, GetParam().headers);
  peer_->SendBytes(1, GetParam().bytes);
  EXPECT_EQ(Receive(*call).status(), absl::InternalError(GetParam().error));
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].reset.has_value(); }));
  EXPECT_EQ(*peer_->streams()[1].reset, static_cast<uint32_t>(NGHTTP2_CANCEL));
  EXPECT_TRUE(link_->usable());
}

INSTANTIATE_TEST_SUITE_P(
    Breaches, LinkBreachTest,
    testing::Values(Breach{"ContentType",
                           {{":status", "200"}, {"content-type", "text/html"}},
                           "",
                           "the handler's content-type is not application/grpc"},
                    Breach{"HttpStatus",
                           {{":status", "404"}, {"content-type", "text/html"}},
                           "<html>",
                           "the handler answered HTTP status 404 to a gRPC call"},
                    Breach{"Oversize", FakePeer::GrpcHeaders(), "\0\x7f\0\0\0"s,
                           "the handler announced a message of 2130706432 bytes; at most 1048640"},
                    Breach{"Compressed", FakePeer::GrpcHeaders(), "\1\0\0\0\1x"s,
                           "the handler compressed a message; none was offered"},
                    Breach{"NotProtobuf", FakePeer::GrpcHeaders(), "\0\0\0\0\2\xff\xff"s,
                           "the handler sent a message that is not a HandleResponse"}),
    [](const auto& info) { return info.param.name; });

TEST_F(LinkTest, AnEndWithoutTrailersIsInternal) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(1));
  peer_->EndWithoutTrailers(1);
  EXPECT_TRUE(Receive(*call).ok());
  EXPECT_EQ(Receive(*call).status(),
            absl::InternalError("the handler ended the call without a grpc-status"));
}

TEST_F(LinkTest, ARefusedCallWasNotProcessed) {
  Connect();
  const auto call = Begin(1);
  peer_->SendReset(1, NGHTTP2_REFUSED_STREAM);
  const absl::Status status = Receive(*call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(IsNotProcessed(status)) << status;
}

TEST_F(LinkTest, AResetCallIsInternal) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendReset(1, NGHTTP2_INTERNAL_ERROR);
  EXPECT_EQ(Receive(*call).status(), absl::InternalError("the call was reset: INTERNAL_ERROR"));
  EXPECT_EQ(Send(*call, Body(1)).code(), absl::StatusCode::kUnavailable);
}

TEST_F(LinkTest, ADeadlineLeavesTheCallAsItWas) {
  Connect();
  const auto call = Begin(1);
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
  EXPECT_EQ(Receive(*call, soon).status().code(), absl::StatusCode::kDeadlineExceeded);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(3));
  EXPECT_EQ(Receive(*call)->body().size(), 3u);
}

TEST_F(LinkTest, CancelEndsWhatWaits) {
  Connect();
  const auto call = Begin(1);
  std::optional<Received> received;
  Begin(call->Receive(SteadyTime::max()), &received);
  EXPECT_FALSE(received.has_value());
  call->Cancel();
  EXPECT_TRUE(Until([&] { return received.has_value(); }));
  EXPECT_EQ(received->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Send(*call, Body(1)).code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].reset.has_value(); }));
}

TEST_F(LinkTest, DestroyingACallEndsWhatWaitsAndResetsIt) {
  Connect();
  auto call = Begin(1);
  std::optional<Received> received;
  Begin(call->Receive(SteadyTime::max()), &received);
  call = nullptr;
  EXPECT_TRUE(Until([&] { return received.has_value() && peer_->streams()[1].reset.has_value(); }));
  EXPECT_EQ(received->status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(*peer_->streams()[1].reset, static_cast<uint32_t>(NGHTTP2_CANCEL));
}

TEST_F(LinkTest, AnAnsweredCallEndsWithoutReset) {
  Connect();
  auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendTrailers(1);
  EXPECT_EQ(Receive(*call).status().code(), absl::StatusCode::kOutOfRange);
  call = nullptr;
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].ended; }));
  EXPECT_FALSE(peer_->streams()[1].reset.has_value());
}

TEST_F(LinkTest, AHalfClosedCallThatIsNotAnsweredIsReset) {
  Connect();
  auto call = Begin(1);
  EXPECT_TRUE(Finish(*call).ok());
  call = nullptr;
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].reset.has_value(); }));
}

// The last word of an answer comes before the stream's end. A handler that counts resets is not to
// see one.
class LinkLastWordTest : public LinkTest, public testing::WithParamInterface<bool> {
 protected:
  void BeginAndDrop() {
    Connect();
    auto call = Begin(1);
    peer_->SendHeaders(1);
    v1::HandleResponse last;
    GetParam() ? static_cast<void>(last.mutable_forward()) : static_cast<void>(last.mutable_end());
    peer_->SendMessage(1, last);
    EXPECT_TRUE(Receive(*call).ok());
  }
};

TEST_P(LinkLastWordTest, LetsTheStreamEndByItself) {
  BeginAndDrop();
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].ended; }));
  peer_->SendTrailers(1);
  const auto next = Begin(3);
  EXPECT_FALSE(peer_->streams()[1].reset.has_value());
}

TEST_P(LinkLastWordTest, ResetsAStreamThatGoesOn) {
  BeginAndDrop();
  peer_->SendMessage(1, Piece(100));
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].reset.has_value(); }));
}

INSTANTIATE_TEST_SUITE_P(LastWords, LinkLastWordTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Forward" : "End"; });

}  // namespace
}  // namespace sallyport::proxy
