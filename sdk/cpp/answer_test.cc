// What handlers answer, and what they see.

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sdk/cpp/caller.h"

namespace sallyport {
namespace {

TEST(AnswerTest, ForwardsWithChanges) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request)
        .SetHeader("Authorization", "first")
        .SetHeader("authorization", "Bearer t")
        .RemoveHeader("Cookie")
        .SetMethod("PUT")
        .SetPath("/new")
        .SetAuthority("other.example.com:8443")
        .UpgradeToHttps();
  });
  EXPECT_EQ(Caller(server->address()).Start("test").All(),
            "forward { method: \"PUT\" scheme: \"https\" authority: \"other.example.com:8443\" "
            "path: \"/new\" set_headers { name: \"authorization\" value: \"Bearer t\" } "
            "remove_headers: \"cookie\" }; status 0: ");
}

TEST(AnswerTest, ResponseHasHeadBodyAndEnd) {
  const auto server = Serve([](const Request&, const Context&) {
    return Respond(201, "made", {{"Location", "/x"}}).AddHeader("a", "1").SetHeader("A", "2");
  });
  EXPECT_EQ(Caller(server->address()).Start("test").All(),
            "respond { status: 201 headers { name: \"location\" value: \"/x\" } "
            "headers { name: \"a\" value: \"2\" } "
            "headers { name: \"content-length\" value: \"4\" } }; body made; end { }; status 0: ");
}

TEST(AnswerTest, ResponseWithoutBodyHasNoLength) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(204); });
  EXPECT_EQ(Caller(server->address()).Start("test").All(),
            "respond { status: 204 }; end { }; status 0: ");
}

TEST(AnswerTest, HandlersSeeTheRequestAndWhy) {
  const auto server = Serve([](const Request& request, const Context& context) {
    std::string seen = request.method() + " " + request.scheme() + " " + request.authority() + " " +
                       request.path() + " " + request.header("X-One").value_or("?") + " " +
                       request.header("x-two").value_or("none");
    seen += " " + context.container_id + " " + context.handler + " " +
            std::to_string(context.policy_revision) + " " + context.Param("scope") + " " +
            context.Param("limit", "no string") + " " + context.Param("other", "none");
    return Respond(200, seen);
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Next(),
            "body POST https api.example.com /a?b 1 none web-1 test 42 repo:read no string none");
}

TEST(AnswerTest, AStatusIsAFailure) {
  const auto server = Serve(
      [](const Request&, const Context&) { return absl::PermissionDeniedError("not for you"); });
  EXPECT_EQ(Caller(server->address()).Start("test").All(), "status 7: not for you");
}

TEST(AnswerTest, TextOfExceptionsStaysHere) {
  std::string thrown;
  Mutex mutex;
  ServeOptions options;
  options.listen = "127.0.0.1:0";
  options.on_exception = [&](const std::string& handler, const std::string& what) {
    MutexLock lock(&mutex);
    thrown += handler + ": " + what + "; ";
  };
  const auto server = Server::Start(
      std::move(options),
      {{"test",
        [](const Request&, const Context&) -> Answer { throw std::runtime_error("secret"); }},
       {"odd", [](const Request&, const Context&) -> Answer { throw 7; }},
       {"stream", [](const Request&, const Context&) {
          return Respond(200).StreamBody([](BodyWriter& body) {
            body.Write("begun");
            throw std::runtime_error("secret 2");
          });
        }}});
  const std::string& address = (*server)->address();
  EXPECT_EQ(Caller(address).Start("test").All(), "status 13: the handler threw an exception");
  EXPECT_EQ(Caller(address).Start("odd").All(), "status 13: the handler threw an exception");
  EXPECT_EQ(Caller(address).Start("stream").All(),
            "respond { status: 200 }; body begun; status 13: the handler threw an exception");
  MutexLock lock(&mutex);
  EXPECT_EQ(thrown, "test: secret; odd: not a std::exception; stream: secret 2; ");
}

TEST(AnswerTest, Leases) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    if (request.has_body()) {
      return Respond(204).RevokeLeases().SetLease({.ttl = std::chrono::milliseconds(1500)});
    }
    return Forward(request).SendRequestId().SetLease(
        {.ttl = std::chrono::hours(1), .max_uses = 3, .methods = {"GET"}, .path_prefix = "/a"});
  });
  EXPECT_EQ(
      Caller(server->address()).Start("test").All(),
      "forward { send_request_id: true lease { ttl { seconds: 3600 } max_uses: 3 methods: \"GET\" "
      "path_prefix: \"/a\" } }; status 0: ");
  EXPECT_EQ(
      Caller(server->address()).Start("test", true).All(),
      "respond { status: 204 lease { ttl { seconds: 1 nanos: 500000000 } } revoke_leases: true }; "
      "end { }; status 0: ");
}

TEST(AnswerTest, LongBodiesComeInPieces) {
  const auto server = Serve(
      [](const Request&, const Context&) { return Respond(200, std::string(200 * 1024, 'x')); });
  Caller caller(server->address());
  caller.Start("test").Next();
  std::vector<size_t> pieces;
  for (std::string next = caller.Next(); next.starts_with("body "); next = caller.Next()) {
    pieces.push_back(next.size() - 5);
  }
  EXPECT_EQ(pieces, (std::vector<size_t>{65536, 65536, 65536, 8192}));
}

TEST(AnswerTest, AStreamEndsWhenTheCallerHangsUp) {
  Signal ended;
  const auto server = Serve([&ended](const Request&, const Context&) {
    return Respond(200).StreamBody([&ended](BodyWriter& body) {
      while (body.Write("more")) {
      }
      ended.Set();
    });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Next(), "body more");
  caller.Cancel();
  ended.Wait();
}

}  // namespace
}  // namespace sallyport
