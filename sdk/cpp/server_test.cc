// The server itself.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sdk/cpp/caller.h"

namespace sallyport {
namespace {

TEST(ServerTest, UnknownHandlersAreNotFound) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(200); });
  EXPECT_EQ(Caller(server->address()).Start("other").All(),
            "status 5: this service has no handler of the name other");
}

TEST(ServerTest, HandlersSeeTheTokenOfTheCall) {
  const auto server = Serve([](const Request&, const Context& context) {
    return Respond(200, "token: " + context.identity_token);
  });
  for (const char* token : {"", "a.b.c"}) {
    Caller caller(server->address(), token);
    caller.Start("test").Next();
    EXPECT_EQ(caller.Next(), std::string("body token: ") + token);
  }
}

TEST(ServerTest, ACallBeginsWithAStart) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(200); });
  EXPECT_EQ(Caller(server->address()).End().All(), "status 3: a call begins with a start message");
}

TEST(ServerTest, HandlersRunBesideEachOtherUpToTheLimit) {
  Mutex mutex;
  CondVar changed;
  int running = 0;
  const auto server = Serve(
      [&](const Request&, const Context&) {
        MutexLock lock(&mutex);
        ++running;
        changed.SignalAll();
        while (running < 4) changed.Wait(&mutex);
        return Respond(200);
      },
      4);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < 8; ++i) {
    callers.push_back(std::make_unique<Caller>(server->address()));
    callers.back()->Start("test");
  }
  for (const auto& caller : callers) EXPECT_TRUE(caller->All().ends_with("status 0: "));
}

TEST(ServerTest, WithoutThreadsHandlersMayNotWait) {
  const auto server = Serve(
      [](const Request& request, const Context&) -> Answer {
        if (!request.has_body()) return Respond(200, std::string(100 * 1024, 'x'));
        return request.ReadBody().status();
      },
      0);
  const std::string all = Caller(server->address()).Start("test").All();
  EXPECT_EQ(std::count(all.begin(), all.end(), 'x'), 100 * 1024);
  EXPECT_EQ(Caller(server->address()).Start("test", true).All(),
            "status 9: bodies cannot be read with max_threads = 0");
}

TEST(ServerTest, ListensOnAUnixSocket) {
  // Not under TEST_TMPDIR: a socket's path may have 107 bytes only.
  char directory[] = "/tmp/handler.XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/h.sock";
  ServeOptions options;
  options.listen = "unix:" + path;
  const auto server = Server::Start(
      std::move(options),
      {{"test", [](const Request& request, const Context&) { return Forward(request); }}});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->address(), "unix:" + path);
  EXPECT_EQ((*server)->port(), 0);
  EXPECT_EQ(Caller((*server)->address()).Start("test").All(), "forward { }; status 0: ");
  std::filesystem::remove_all(directory);
}

TEST(ServerTest, SaysThatItCannotListen) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(200); });
  ServeOptions options;
  options.listen = server->address();
  EXPECT_EQ(Server::Start(options, {}).status().code(), absl::StatusCode::kUnavailable);
  options.listen = "";
  EXPECT_EQ(Server::Start(options, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ServerTest, StopCancelsWhatIsUnderWay) {
  const auto server = Serve(
      [](const Request& request, const Context&) -> Answer { return request.ReadBody().status(); });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Next(), "read_body { }");
  server->Stop();
  EXPECT_TRUE(caller.Next().starts_with("status "));
}

TEST(ServerTest, StopLetsCallsEndWithinTheGrace) {
  Signal begun;
  const auto server = Serve([&begun](const Request& request, const Context&) -> Answer {
    begun.Set();
    return Respond(200, request.ReadBody().value_or("cut"));
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Body("whole").Next(), "read_body { }");
  begun.Wait();
  std::thread stopper([&server] { server->Stop(std::chrono::seconds(60)); });
  caller.End().Next();
  EXPECT_EQ(caller.Next(), "body whole");
  caller.All();
  stopper.join();
}

}  // namespace
}  // namespace sallyport
