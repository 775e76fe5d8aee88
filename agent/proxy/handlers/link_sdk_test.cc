// The link against a true gRPC server, over TCP: what the SDK's handlers say and take.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/proxy/handlers/link.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/base/mutex.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport::proxy {
namespace {

using handler_sdk::BodyWriter, handler_sdk::Context, handler_sdk::Request, handler_sdk::Server;
using SdkAnswer = handler_sdk::Answer;
using SdkForward = handler_sdk::Forward;
using SdkRespond = handler_sdk::Respond;
using Received = absl::StatusOr<v1::HandleResponse>;

constexpr size_t kPiece = 64 * 1024;
constexpr size_t kLong = 64 * 1024 * 1024;
// What may be on its way between a writer and a reader who does not read: windows, and the buffers
// of gRPC.
constexpr size_t kOnItsWay = 1024 * 1024;

// Closed until opened.
class Gate {
 public:
  void Open() {
    MutexLock lock(&mutex_);
    open_ = true;
    changed_.SignalAll();
  }
  void Wait() {
    MutexLock lock(&mutex_);
    while (!open_) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

class LinkSdkTest : public testing::Test {
 protected:
  void Serve(handler_sdk::HandlerFunction handler) {
    handler_sdk::ServeOptions options;
    options.listen = "127.0.0.1:0";
    options.on_exception = [](const std::string&, const std::string&) {};
    absl::StatusOr<std::unique_ptr<Server>> server =
        Server::Start(std::move(options), {{"test", std::move(handler)}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);

    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    link_ = HandlerLink::Start(context_, std::make_unique<TcpStream>(context_, std::move(socket)),
                               server_->address());
  }

  std::unique_ptr<HandlerCall> Begin(bool has_body = false, const std::string& handler = "test") {
    absl::StatusOr<std::unique_ptr<HandlerCall>> call = link_->Call();
    EXPECT_TRUE(call.ok()) << call.status();
    v1::HandleRequest message;
    message.mutable_start()->mutable_context()->set_handler(handler);
    message.mutable_start()->set_has_body(has_body);
    EXPECT_TRUE(RunTask(context_, (*call)->Send(message)).ok());
    return *std::move(call);
  }
  Received Receive(HandlerCall& call, SteadyTime deadline = SteadyTime::max()) {
    return RunTask(context_, call.Receive(deadline));
  }
  // The loop runs, and what can happen without anybody reading happens.
  void Idle() {
    context_.restart();
    context_.run_for(std::chrono::milliseconds(200));
  }

  boost::asio::io_context context_{1};
  // Of the handlers, whose threads end with the server.
  Gate gate_;
  std::atomic<size_t> passed_ = 0;
  std::unique_ptr<Server> server_;
  std::shared_ptr<HandlerLink> link_;
};

TEST_F(LinkSdkTest, Forwards) {
  Serve([](const Request& request, const Context&) {
    return SdkForward(request).SetHeader("authorization", "Bearer t");
  });
  const auto call = Begin();
  EXPECT_EQ(Receive(*call)->forward().set_headers(0).value(), "Bearer t");
  EXPECT_EQ(Receive(*call).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(LinkSdkTest, Responds) {
  Serve([](const Request&, const Context&) { return SdkRespond(200, "hello"); });
  const auto call = Begin();
  EXPECT_EQ(Receive(*call)->respond().status(), 200u);
  EXPECT_EQ(Receive(*call)->body(), "hello");
  EXPECT_TRUE(Receive(*call)->has_end());
  EXPECT_EQ(Receive(*call).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(LinkSdkTest, FailuresAreInternal) {
  Serve([](const Request&, const Context&) -> SdkAnswer { throw 7; });
  EXPECT_EQ(Receive(*Begin()).status(),
            absl::InternalError(
                "the handler ended the call with INTERNAL: the handler threw an exception"));
  EXPECT_EQ(Receive(*Begin(false, "other")).status(),
            absl::InternalError("the handler ended the call with NOT_FOUND: this service has no "
                                "handler of the name other"));
}

TEST_F(LinkSdkTest, ManyCallsShareTheLink) {
  Serve([](const Request& request, const Context&) -> SdkAnswer {
    return SdkRespond(200, request.ReadBody().value_or("lost"));
  });
  constexpr int kCalls = 100;
  std::vector<std::unique_ptr<HandlerCall>> calls;
  for (int i = 0; i < kCalls; ++i) calls.push_back(Begin(true));
  for (int i = 0; i < kCalls; ++i) {
    v1::HandleRequest body;
    body.set_body(std::to_string(i));
    ASSERT_TRUE(RunTask(context_, calls[i]->Send(body)).ok());
    v1::HandleRequest end;
    end.mutable_end();
    ASSERT_TRUE(RunTask(context_, calls[i]->Send(end)).ok());
  }
  for (int i = kCalls - 1; i >= 0; --i) {
    EXPECT_TRUE(Receive(*calls[i])->has_read_body());
    EXPECT_TRUE(Receive(*calls[i])->has_respond());
    EXPECT_EQ(Receive(*calls[i])->body(), std::to_string(i));
  }
}

Task<absl::Status> SendBody(HandlerCall* call, size_t bytes, size_t* sent) {
  v1::HandleRequest message;
  message.set_body(std::string(kPiece, 'x'));
  while (*sent < bytes) {
    const absl::Status status = co_await call->Send(message);
    if (!status.ok()) co_return status;
    *sent += kPiece;
  }
  message.mutable_end();
  co_return co_await call->Send(message);
}

// A handler that does not read stops the sender; then all of the body arrives.
TEST_F(LinkSdkTest, ALongRequestBodyWaitsForTheHandler) {
  Serve([this](const Request& request, const Context&) -> SdkAnswer {
    bool first = true;
    while (true) {
      const auto piece = request.ReadPiece();
      if (!piece.ok()) return piece.status();
      if (!piece->has_value()) return SdkRespond(200, std::to_string(passed_));
      passed_ += (*piece)->size();
      if (std::exchange(first, false)) gate_.Wait();
    }
  });
  const auto call = Begin(true);
  EXPECT_TRUE(Receive(*call)->has_read_body());
  size_t sent = 0;
  std::optional<absl::Status> result;
  Spawn(context_, SendBody(call.get(), kLong, &sent),
        [&result](absl::Status status) { result.emplace(std::move(status)); });
  Idle();
  EXPECT_LE(sent, passed_ + kOnItsWay);
  gate_.Open();
  EXPECT_TRUE(Receive(*call)->has_respond());
  EXPECT_EQ(Receive(*call)->body(), std::to_string(kLong));
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->ok()) << *result;
  EXPECT_EQ(sent, kLong);
}

// A caller that does not receive stops the handler, at every point of the body.
TEST_F(LinkSdkTest, ALongResponseBodyWaitsForTheCaller) {
  Serve([this](const Request&, const Context&) {
    return SdkRespond(200).StreamBody([this](BodyWriter& body) {
      const std::string piece(kPiece, 'x');
      while (passed_ < kLong && body.Write(piece)) passed_ += piece.size();
    });
  });
  const auto call = Begin();
  EXPECT_TRUE(Receive(*call)->has_respond());
  Idle();
  EXPECT_LE(passed_, kOnItsWay);
  size_t received = 0;
  while (true) {
    const Received message = Receive(*call);
    ASSERT_TRUE(message.ok()) << message.status();
    if (message->has_end()) break;
    received += message->body().size();
    ASSERT_LE(passed_, received + kOnItsWay);
  }
  EXPECT_EQ(received, kLong);
}

TEST_F(LinkSdkTest, AHandlerThatBreaksOffIsAnError) {
  Serve([](const Request&, const Context&) {
    return SdkRespond(200).StreamBody([](BodyWriter& body) {
      body.Write("begun");
      throw 7;
    });
  });
  const auto call = Begin();
  EXPECT_TRUE(Receive(*call)->has_respond());
  EXPECT_EQ(Receive(*call)->body(), "begun");
  EXPECT_EQ(Receive(*call).status().code(), absl::StatusCode::kInternal);
}

TEST_F(LinkSdkTest, AServerThatStopsEndsItsCalls) {
  Serve([](const Request& request, const Context&) -> SdkAnswer {
    return request.ReadBody().status();
  });
  const auto call = Begin(true);
  EXPECT_TRUE(Receive(*call)->has_read_body());
  server_->Stop();
  const absl::Status status = Receive(*call).status();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsInternal(status)) << status;
  context_.restart();
  while (link_->usable() && context_.run_one_for(std::chrono::seconds(20)) > 0) {
  }
  EXPECT_FALSE(link_->usable());
}

TEST_F(LinkSdkTest, ALateHandlerIsADeadlineAndSeesTheReset) {
  Serve([this](const Request& request, const Context&) -> SdkAnswer {
    const absl::Status status = request.ReadBody().status();
    if (absl::IsCancelled(status)) gate_.Open();
    return status;
  });
  auto call = Begin(true);
  EXPECT_TRUE(Receive(*call)->has_read_body());
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  EXPECT_EQ(Receive(*call, soon).status().code(), absl::StatusCode::kDeadlineExceeded);
  call = nullptr;
  std::thread waiter([&] {
    gate_.Wait();
    context_.stop();
  });
  context_.restart();
  context_.run();
  waiter.join();
}

// The handler's last word is enough for the caller; the server sees an orderly end a thousand times
// over.
TEST_F(LinkSdkTest, OneCallAfterTheOther) {
  Serve([](const Request& request, const Context&) { return SdkForward(request); });
  for (int i = 0; i < 1000; ++i) {
    const auto call = Begin();
    ASSERT_TRUE(Receive(*call)->has_forward());
  }
  EXPECT_EQ(link_->calls_in_flight(), 0u);
}

}  // namespace
}  // namespace sallyport::proxy
