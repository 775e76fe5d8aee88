#include "agent/proxy/handlers/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/proxy/handlers/handler_body.h"
#include "agent/proxy/handlers/link_fixture.h"
#include "agent/proxy/handlers/message_queue.h"

namespace sallyport::proxy {
namespace {

using testing::HasSubstr;

constexpr int32_t kStream = 1;

v1::HandleResponse PieceOf(Direction direction, const std::string& bytes) {
  v1::HandleResponse message;
  if (direction == Direction::kRequest) {
    message.set_request_body(bytes);
  } else {
    message.set_body(bytes);
  }
  return message;
}

v1::HandleResponse EndOf(Direction direction) {
  v1::HandleResponse message;
  if (direction == Direction::kRequest) {
    message.mutable_request_end();
  } else {
    message.mutable_end();
  }
  return message;
}

v1::HandleResponse TransformingPass() {
  v1::HandleResponse message;
  message.mutable_pass_response()->set_transform_body(true);
  return message;
}

// A conversation whose start message the peer has, and whose peer has begun its answer.
class ConversationTest : public LinkTest {
 protected:
  void SetUp() override {
    Connect();
    conversation_ =
        std::make_unique<HandlerConversation>(context_, &budget_, LinkTest::Begin(kStream));
    peer_->SendHeaders(kStream);
  }

  void Peer(const v1::HandleResponse& message) { peer_->SendMessage(kStream, message); }
  std::string ReadAll(HandlerBody& body) {
    std::string all;
    while (true) {
      const absl::StatusOr<std::string_view> piece = RunTask(context_, body.Read());
      if (!piece.ok()) return all + "! " + std::string(piece.status().message());
      if (piece->empty()) return all;
      all += *piece;
    }
  }
  absl::Status TellOrigin() {
    v1::HandleRequest message;
    message.mutable_response()->set_status(200);
    return RunTask(context_,
                   conversation_->SendOriginResponse(std::move(message), SteadyTime::max()));
  }
  size_t Received() { return peer_->Messages(kStream).size(); }

  ContainerBudget budget_{ContainerLimits()};
  std::unique_ptr<HandlerConversation> conversation_;
};

TEST_F(ConversationTest, ReadsAResponse) {
  conversation_->Continue(MessageOrder::AfterRespond());
  Peer(PieceOf(Direction::kResponse, "one "));
  Peer(PieceOf(Direction::kResponse, ""));
  Peer(PieceOf(Direction::kResponse, "two"));
  v1::HandleResponse end = EndOf(Direction::kResponse);
  v1::Header* trailer = end.mutable_end()->add_trailers();
  trailer->set_name("X-Sum");
  trailer->set_value("7");
  Peer(end);
  HandlerBody body(conversation_.get(), Direction::kResponse);
  EXPECT_EQ(ReadAll(body), "one two");
  EXPECT_EQ(*body.trailers().Find("x-sum"), "7");
  EXPECT_TRUE(conversation_->failure().ok());
}

TEST_F(ConversationTest, SortsBothDirections) {
  conversation_->Continue(MessageOrder(true, true));
  ASSERT_TRUE(TellOrigin().ok());
  Peer(PieceOf(Direction::kRequest, "q1"));
  Peer(TransformingPass());
  Peer(PieceOf(Direction::kResponse, "r1"));
  Peer(PieceOf(Direction::kRequest, "q2"));
  Peer(EndOf(Direction::kResponse));
  Peer(EndOf(Direction::kRequest));
  const auto pass = RunTask(context_, conversation_->Next(Direction::kResponse, SteadyTime::max()));
  ASSERT_TRUE(pass.ok() && pass->has_pass_response()) << pass.status();
  HandlerBody response(conversation_.get(), Direction::kResponse);
  HandlerBody request(conversation_.get(), Direction::kRequest);
  EXPECT_EQ(ReadAll(response), "r1");
  EXPECT_EQ(ReadAll(request), "q1q2");
}

TEST_F(ConversationTest, ABreachFailsBothDirections) {
  conversation_->Continue(MessageOrder(true, true));
  Peer(PieceOf(Direction::kRequest, "q"));
  Peer(PieceOf(Direction::kResponse, "too early"));
  HandlerBody request(conversation_.get(), Direction::kRequest);
  EXPECT_THAT(ReadAll(request), HasSubstr("q! the handler sends a response's body before"));
  HandlerBody response(conversation_.get(), Direction::kResponse);
  EXPECT_THAT(ReadAll(response), HasSubstr("before its head"));
  EXPECT_FALSE(conversation_->failure().ok());
  EXPECT_TRUE(Until([&] { return peer_->streams()[kStream].reset.has_value(); }));
}

TEST_F(ConversationTest, IllegalTrailersFailIt) {
  conversation_->Continue(MessageOrder::AfterRespond());
  v1::HandleResponse end = EndOf(Direction::kResponse);
  end.mutable_end()->add_trailers()->set_name("content-length");
  Peer(end);
  HandlerBody body(conversation_.get(), Direction::kResponse);
  EXPECT_THAT(ReadAll(body), HasSubstr("may not be a trailer"));
  EXPECT_FALSE(conversation_->failure().ok());
}

TEST_F(ConversationTest, AnAnswerBeforeThereIsAQuestion) {
  conversation_->Continue(MessageOrder(false, true));
  Peer(TransformingPass());
  EXPECT_TRUE(Until([&] { return !conversation_->failure().ok(); }));
  EXPECT_THAT(std::string(conversation_->failure().message()), HasSubstr("before it was told"));
}

TEST_F(ConversationTest, AnEndBeforeTheLastWord) {
  conversation_->Continue(MessageOrder(true, false));
  peer_->SendTrailers(kStream);
  HandlerBody request(conversation_.get(), Direction::kRequest);
  EXPECT_EQ(ReadAll(request), "! the handler ended its stream before its last word");
}

TEST_F(ConversationTest, SendersTakeTurns) {
  Connect({.open_windows = false});
  conversation_ =
      std::make_unique<HandlerConversation>(context_, &budget_, LinkTest::Begin(kStream));
  std::optional<absl::Status> first, second;
  // More than a window: the first waits within, the second for its turn.
  for (int i = 0; i < 2; ++i) {
    std::optional<absl::Status>& result = i == 0 ? first : second;
    LinkTest::Begin(conversation_->Send(Body(200 * 1024), SteadyTime::max()), &result);
  }
  EXPECT_FALSE(first.has_value() || second.has_value());
  const absl::Status late =
      RunTask(context_, conversation_->Send(Body(1), std::chrono::steady_clock::now()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  conversation_->Cancel();
  EXPECT_TRUE(Until([&] { return first.has_value() && second.has_value(); }));
  EXPECT_FALSE(first->ok() || second->ok());
}

// Else an origin that waits to be read, while it is not reading, would stop everything.
TEST_F(ConversationTest, AHandlerIsGivenNoMoreWhileItsPiecesAreNotTaken) {
  conversation_->Continue(MessageOrder(true, true));
  const std::string piece(64 * 1024, 'q');
  for (size_t sent = 0; sent < MessageQueue::kEnoughBytes; sent += piece.size())
    Peer(PieceOf(Direction::kRequest, piece));
  // The other direction does not wait behind them.
  ASSERT_TRUE(TellOrigin().ok());
  Peer(TransformingPass());
  EXPECT_TRUE(RunTask(context_, conversation_->Next(Direction::kResponse, SteadyTime::max())).ok());
  const size_t before = Received();
  std::optional<absl::Status> waits, passes;
  LinkTest::Begin(conversation_->SendPiece(Direction::kRequest, Body(1)), &waits);
  v1::HandleRequest response;
  response.set_response_body("x");
  LinkTest::Begin(conversation_->SendPiece(Direction::kResponse, std::move(response)), &passes);
  EXPECT_TRUE(Until([&] { return passes.has_value() && Received() == before + 1; }));
  EXPECT_FALSE(waits.has_value());
  HandlerBody request(conversation_.get(), Direction::kRequest);
  EXPECT_TRUE(RunTask(context_, request.Read()).ok());
  EXPECT_TRUE(Until([&] { return waits.has_value(); }));
}

TEST_F(ConversationTest, WhatWaitsIsTheContainersMemory) {
  conversation_->Continue(MessageOrder(true, true));
  constexpr int64_t kPiece = 64 * 1024;
  const auto used = [this] { return budget_.held(Limit::kMemoryBytes); };
  for (int i = 0; i < 4; ++i) Peer(PieceOf(Direction::kRequest, std::string(kPiece, 'q')));
  EXPECT_TRUE(Until([&] { return used() >= 4 * kPiece; }));
  HandlerBody request(conversation_.get(), Direction::kRequest);
  EXPECT_TRUE(RunTask(context_, request.Read()).ok());
  EXPECT_LT(used(), 4 * kPiece);
  conversation_->Discard(Direction::kRequest);
  EXPECT_EQ(used(), 0);
}

TEST_F(ConversationTest, AHandlerIsReadNoFurtherThanTheContainersMemory) {
  conversation_->Continue(MessageOrder(true, true));
  Gauge::Token others = budget_.Hold(Limit::kMemoryBytes, budget_.limits()[Limit::kMemoryBytes]);
  const std::string piece(64 * 1024, 'q');
  constexpr size_t kPieces = MessageQueue::kFullBytes / 2 / (64 * 1024);
  for (size_t sent = 0; sent < kPieces; ++sent) Peer(PieceOf(Direction::kRequest, piece));
  EXPECT_TRUE(Until([&] { return budget_.exceeded(Limit::kMemoryBytes) > 0; }));
  Settle();
  EXPECT_EQ(budget_.exceeded(Limit::kMemoryBytes), 1u);
  // With what the call's window has room for.
  EXPECT_LT(peer_->streams()[kStream].sent_bytes, 4 * MessageQueue::kEnoughBytes);
  others.Release();
  HandlerBody request(conversation_.get(), Direction::kRequest);
  size_t taken = 0;
  while (taken < kPieces) {
    const absl::StatusOr<std::string_view> next = RunTask(context_, request.Read());
    ASSERT_TRUE(next.ok()) << next.status();
    ++taken;
    EXPECT_LE(budget_.held(Limit::kMemoryBytes), static_cast<int64_t>(MessageQueue::kFullBytes));
  }
  EXPECT_EQ(budget_.held(Limit::kMemoryBytes), 0);
}

TEST_F(ConversationTest, WhatIsDiscardedHoldsNothingUp) {
  conversation_->Continue(MessageOrder(true, true));
  ASSERT_TRUE(TellOrigin().ok());
  conversation_->Discard(Direction::kRequest);
  const std::string piece(64 * 1024, 'q');
  for (size_t sent = 0; sent < 2 * MessageQueue::kFullBytes; sent += piece.size())
    Peer(PieceOf(Direction::kRequest, piece));
  Peer(TransformingPass());
  Peer(PieceOf(Direction::kResponse, "r"));
  EXPECT_TRUE(RunTask(context_, conversation_->Next(Direction::kResponse, SteadyTime::max())).ok());
  HandlerBody response(conversation_.get(), Direction::kResponse);
  EXPECT_EQ(*RunTask(context_, response.Read()), "r");
}

TEST_F(ConversationTest, GoneBeforeItsTimeItResetsTheStream) {
  conversation_->Continue(MessageOrder(true, true));
  Settle();
  conversation_ = nullptr;
  EXPECT_TRUE(Until([&] { return peer_->streams()[kStream].reset.has_value(); }));
}

TEST_F(ConversationTest, AfterTheLastWordItHalfCloses) {
  conversation_->Continue(MessageOrder(false, true));
  ASSERT_TRUE(TellOrigin().ok());
  v1::HandleResponse pass;
  pass.mutable_pass_response();
  Peer(pass);
  EXPECT_TRUE(RunTask(context_, conversation_->Next(Direction::kResponse, SteadyTime::max())).ok());
  conversation_ = nullptr;
  EXPECT_TRUE(Until([&] { return peer_->streams()[kStream].ended; }));
  EXPECT_FALSE(peer_->streams()[kStream].reset.has_value());
}

}  // namespace
}  // namespace sallyport::proxy
