// A link and a fake peer on the two ends of a stream in memory, on one event loop.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_LINK_FIXTURE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_LINK_FIXTURE_H_

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/proxy/handlers/fake_peer.h"
#include "agent/proxy/handlers/link.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {

class LinkTest : public testing::Test {
 protected:
  using Received = absl::StatusOr<v1::HandleResponse>;

  void Connect(FakePeer::Options options = {}) {
    auto [ours, theirs] = MemoryStream::MakePair(context_);
    stream_ = ours.get();
    link_ = HandlerLink::Start(context_, std::move(ours), "handler.test:7070");
    peer_ = FakePeer::Start(context_, std::move(theirs), options);
  }
  // The other end is the test itself: what it puts into `stream_` is what the peer says.
  void ConnectRaw() {
    auto [ours, theirs] = MemoryStream::MakePair(context_);
    stream_ = ours.get();
    raw_ = std::move(theirs);
    link_ = HandlerLink::Start(context_, std::move(ours), "handler.test:7070");
  }

  // Runs the loop until the condition holds; false if it never does.
  template <typename Condition>
  bool Until(Condition condition) {
    context_.restart();
    while (!condition()) {
      if (context_.run_one_for(std::chrono::seconds(20)) == 0) return false;
    }
    return true;
  }
  // Everything that can happen without time passing.
  void Settle() {
    context_.restart();
    context_.poll();
  }

  std::unique_ptr<HandlerCall> Call() {
    absl::StatusOr<std::unique_ptr<HandlerCall>> call = link_->Call();
    EXPECT_TRUE(call.ok()) << call.status();
    return call.ok() ? *std::move(call) : nullptr;
  }
  // A call whose start message the peer has.
  std::unique_ptr<HandlerCall> Begin(int32_t stream) {
    std::unique_ptr<HandlerCall> call = Call();
    EXPECT_TRUE(Send(*call, Start()).ok());
    EXPECT_TRUE(Until([&] { return peer_->Messages(stream).size() == 1; }));
    return call;
  }

  absl::Status Send(HandlerCall& call, const v1::HandleRequest& message) {
    return RunTask(context_, call.Send(message));
  }
  absl::Status Finish(HandlerCall& call) { return RunTask(context_, call.FinishSending()); }
  Received Receive(HandlerCall& call, SteadyTime deadline = SteadyTime::max()) {
    return RunTask(context_, call.Receive(deadline));
  }

  static Task<void> Keep(Task<absl::Status> task, std::optional<absl::Status>* result) {
    *result = co_await std::move(task);
  }
  static Task<void> Keep(Task<Received> task, std::optional<Received>* result) {
    *result = co_await std::move(task);
  }
  // Starts an operation; `result` is set when it ends.
  template <typename T>
  void Begin(Task<T> task, std::optional<T>* result) {
    proxy::Spawn(context_, Keep(std::move(task), result));
    Settle();
  }

  static v1::HandleRequest Start() {
    v1::HandleRequest message;
    message.mutable_start()->set_method("GET");
    return message;
  }
  static v1::HandleRequest Body(size_t bytes) {
    v1::HandleRequest message;
    message.set_body(std::string(bytes, 'b'));
    return message;
  }
  static v1::HandleResponse Piece(size_t bytes) {
    v1::HandleResponse message;
    message.set_body(std::string(bytes, 'p'));
    return message;
  }

  boost::asio::io_context context_{1};
  MemoryStream* stream_ = nullptr;  // The link's own; lives until the link is closed.
  std::unique_ptr<MemoryStream> raw_;
  std::shared_ptr<FakePeer> peer_;
  std::shared_ptr<HandlerLink> link_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_LINK_FIXTURE_H_
