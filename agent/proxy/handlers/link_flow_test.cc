// Back-pressure, both ways.

#include <gtest/gtest.h>

#include <chrono>

#include "agent/proxy/handlers/link_fixture.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kStreamWindow = 256 * 1024;
constexpr size_t kPiece = 64 * 1024;

TEST_F(LinkTest, WhatNobodyReceivesIsNotRead) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  for (int i = 0; i < 32; ++i) peer_->SendMessage(1, Piece(kPiece));
  Settle();
  EXPECT_EQ(peer_->streams()[1].sent_bytes, kStreamWindow);

  // A message that is taken makes room for its own length, once that is worth a WINDOW_UPDATE.
  for (int i = 1; i <= 20; ++i) {
    EXPECT_EQ(Receive(*call)->body().size(), kPiece);
    Settle();
    EXPECT_LE(peer_->streams()[1].sent_bytes, kStreamWindow + i * (kPiece + 16));
  }
  for (int i = 21; i <= 32; ++i) EXPECT_EQ(Receive(*call)->body().size(), kPiece);
}

TEST_F(LinkTest, ACallThatNobodyReceivesDoesNotStopTheOthers) {
  Connect();
  std::vector<std::unique_ptr<HandlerCall>> stopped;
  for (int i = 0; i < 8; ++i) {
    stopped.push_back(Begin(2 * i + 1));
    peer_->SendHeaders(2 * i + 1);
    for (int j = 0; j < 8; ++j) peer_->SendMessage(2 * i + 1, Piece(kPiece));
  }
  const auto call = Begin(17);
  peer_->SendHeaders(17);
  for (int i = 0; i < 64; ++i) peer_->SendMessage(17, Piece(kPiece));
  for (int i = 0; i < 64; ++i) EXPECT_EQ(Receive(*call)->body().size(), kPiece);
}

TEST_F(LinkTest, AMessageMayBeLongerThanTheWindow) {
  Connect();
  const auto call = Begin(1);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(1024 * 1024));
  EXPECT_EQ(Receive(*call)->body().size(), 1024u * 1024u);
}

TEST_F(LinkTest, ASendWaitsForTheWindow) {
  FakePeer::Options closed;
  closed.open_windows = false;
  Connect(closed);
  const auto call = Begin(1);
  absl::Status sent;
  size_t messages = 0;
  std::optional<absl::Status> blocked;
  while (true) {
    blocked.reset();
    LinkTest::Begin(call->Send(Body(16 * 1024)), &blocked);
    if (!blocked.has_value()) break;
    ASSERT_TRUE(blocked->ok());
    ++messages;
  }
  // The peer's window is 65,535 bytes.
  EXPECT_EQ(messages, 3u);
  EXPECT_EQ(peer_->streams()[1].bytes.size(), 65535u);

  call->SetSendDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(1));
  EXPECT_TRUE(Until([&] { return blocked.has_value(); }));
  EXPECT_EQ(blocked->code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(LinkTest, CancelEndsASendThatWaits) {
  FakePeer::Options closed;
  closed.open_windows = false;
  Connect(closed);
  const auto call = Begin(1);
  std::optional<absl::Status> blocked;
  LinkTest::Begin(call->Send(Body(100 * 1024)), &blocked);
  EXPECT_FALSE(blocked.has_value());
  call->Cancel();
  EXPECT_TRUE(Until([&] { return blocked.has_value(); }));
  EXPECT_EQ(blocked->code(), absl::StatusCode::kCancelled);
}

// A handler may answer without taking the body: the sender learns of it, the receiver gets the
// answer.
TEST_F(LinkTest, AnAnswerEndsASendThatWaits) {
  FakePeer::Options closed;
  closed.open_windows = false;
  Connect(closed);
  const auto call = Begin(1);
  std::optional<absl::Status> blocked;
  LinkTest::Begin(call->Send(Body(100 * 1024)), &blocked);
  peer_->SendHeaders(1);
  peer_->SendMessage(1, Piece(5));
  peer_->SendTrailers(1);
  EXPECT_TRUE(Until([&] { return blocked.has_value(); }));
  EXPECT_EQ(blocked->code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Receive(*call)->body().size(), 5u);
  EXPECT_EQ(Receive(*call).status().code(), absl::StatusCode::kOutOfRange);
}

// The peer's HTTP/2 windows are open, but it takes no bytes from its socket.
TEST_F(LinkTest, ASendWaitsForTheConnection) {
  Connect();
  const auto call = Begin(1);
  Faults faults;
  faults.stall_write_at = stream_->written().size() + 1000;
  stream_->set_faults(faults);
  std::optional<absl::Status> first;
  std::optional<absl::Status> second;
  LinkTest::Begin(call->Send(Body(4 * 1024)), &first);
  EXPECT_TRUE(Until([&] { return first.has_value(); }));
  LinkTest::Begin(call->Send(Body(4 * 1024)), &second);
  EXPECT_FALSE(second.has_value());
  stream_->set_faults(Faults{});
  EXPECT_TRUE(Until([&] { return second.has_value(); }));
  EXPECT_TRUE(second->ok());
}

TEST_F(LinkTest, AllOfALongBodyArrives) {
  Connect();
  const auto call = Begin(1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Send(*call, Body(kPiece)).ok());
  EXPECT_TRUE(Finish(*call).ok());
  EXPECT_TRUE(Until([&] { return peer_->streams()[1].ended; }));
  EXPECT_EQ(peer_->Messages(1).size(), 101u);
}

}  // namespace
}  // namespace sallyport::proxy
