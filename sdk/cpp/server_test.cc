// Handlers as a gRPC client sees them.

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "proto/sallyport/v1/handler.grpc.pb.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
namespace {

// One call, as a proxy makes it.
class Caller {
 public:
  explicit Caller(const std::string& address)
      : stub_(v1::OutboundHandler::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        stream_(stub_->Handle(&context_)) {}

  Caller& Start(const std::string& handler, bool has_body = false) {
    v1::HandleRequest message;
    v1::RequestStart& start = *message.mutable_start();
    v1::Context& context = *start.mutable_context();
    context.set_container_id("web-1");
    context.set_handler(handler);
    context.set_policy_revision(42);
    (*context.mutable_params()->mutable_fields())["scope"].set_string_value("repo:read");
    (*context.mutable_params()->mutable_fields())["limit"].set_number_value(7);
    start.set_method("POST");
    start.set_scheme("https");
    start.set_authority("api.example.com");
    start.set_path("/a?b");
    v1::Header* header = start.add_headers();
    header->set_name("x-one");
    header->set_value("1");
    start.set_has_body(has_body);
    stream_->Write(message);
    return *this;
  }
  Caller& Body(const std::string& bytes) {
    v1::HandleRequest message;
    message.set_body(bytes);
    stream_->Write(message);
    return *this;
  }
  Caller& End() {
    v1::HandleRequest message;
    message.mutable_end();
    stream_->Write(message);
    return *this;
  }

  // What the origin answers.
  Caller& Response(uint32_t status) {
    v1::HandleRequest message;
    message.mutable_response()->set_status(status);
    v1::Header* header = message.mutable_response()->add_headers();
    header->set_name("server");
    header->set_value("s");
    stream_->Write(message);
    return *this;
  }
  Caller& ResponseBody(const std::string& bytes) {
    v1::HandleRequest message;
    message.set_response_body(bytes);
    stream_->Write(message);
    return *this;
  }
  Caller& ResponseEnd() {
    v1::HandleRequest message;
    v1::Header* trailer = message.mutable_response_end()->add_trailers();
    trailer->set_name("x-sum");
    trailer->set_value("7");
    stream_->Write(message);
    return *this;
  }
  // The next message in short; or "status CODE: TEXT" at the end.
  std::string Next() {
    v1::HandleResponse message;
    if (!stream_->Read(&message)) {
      const grpc::Status status = stream_->Finish();
      return "status " + std::to_string(status.error_code()) + ": " + status.error_message();
    }
    if (message.has_body()) return "body " + message.body();
    return message.ShortDebugString();
  }
  std::string All() {
    std::string all;
    while (true) {
      const std::string next = Next();
      all += next;
      if (next.starts_with("status ")) return all;
      all += "; ";
    }
  }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::OutboundHandler::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::HandleRequest, v1::HandleResponse>> stream_;
};

// What tests wait for.
class Signal {
 public:
  void Set() {
    MutexLock lock(&mutex_);
    set_ = true;
    changed_.SignalAll();
  }
  void Wait() {
    MutexLock lock(&mutex_);
    while (!set_) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
};

std::unique_ptr<Server> Serve(HandlerFunction handler, int max_threads = 4) {
  ServeOptions options;
  options.listen = "127.0.0.1:0";
  options.max_threads = max_threads;
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(std::move(options), {{"test", std::move(handler)}});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

TEST(ServerTest, ForwardsWithChanges) {
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

TEST(ServerTest, ResponseHasHeadBodyAndEnd) {
  const auto server = Serve([](const Request&, const Context&) {
    return Respond(201, "made", {{"Location", "/x"}}).AddHeader("a", "1").SetHeader("A", "2");
  });
  EXPECT_EQ(Caller(server->address()).Start("test").All(),
            "respond { status: 201 headers { name: \"location\" value: \"/x\" } "
            "headers { name: \"a\" value: \"2\" } "
            "headers { name: \"content-length\" value: \"4\" } }; body made; end { }; status 0: ");
}

TEST(ServerTest, ResponseWithoutBodyHasNoLength) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(204); });
  EXPECT_EQ(Caller(server->address()).Start("test").All(),
            "respond { status: 204 }; end { }; status 0: ");
}

TEST(ServerTest, HandlersSeeTheRequestAndWhy) {
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

TEST(ServerTest, UnknownHandlersAreNotFound) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(200); });
  EXPECT_EQ(Caller(server->address()).Start("other").All(),
            "status 5: this service has no handler of the name other");
}

TEST(ServerTest, ACallBeginsWithAStart) {
  const auto server = Serve([](const Request&, const Context&) { return Respond(200); });
  EXPECT_EQ(Caller(server->address()).End().All(), "status 3: a call begins with a start message");
}

TEST(ServerTest, TextOfExceptionsStaysHere) {
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

TEST(ServerTest, AStatusIsAFailure) {
  const auto server = Serve(
      [](const Request&, const Context&) { return absl::PermissionDeniedError("not for you"); });
  EXPECT_EQ(Caller(server->address()).Start("test").All(), "status 7: not for you");
}

TEST(ServerTest, ReadsTheBodyWhenAsked) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    absl::StatusOr<std::string> body = request.ReadBody(10);
    if (!body.ok()) return body.status();
    const absl::StatusOr<std::string> again = request.ReadBody();
    return Respond(200, *body + "|" + *again);
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Next(), "read_body { }");
  EXPECT_EQ(caller.Body("12345").Body("67890").End().Next().substr(0, 7), "respond");
  EXPECT_EQ(caller.Next(), "body 1234567890|");
}

TEST(ServerTest, ABodyBeyondTheLimitIsAnError) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    return request.ReadBody(9).status();
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Body("12345").Body("67890").All(),
            "read_body { }; status 8: the body is longer than 9 bytes");
}

TEST(ServerTest, ARequestWithoutBodyIsNotAskedForOne) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    if (request.ReadBody().value() != "") return Respond(500);
    return Forward(request);
  });
  EXPECT_EQ(Caller(server->address()).Start("test").All(), "forward { }; status 0: ");
}

TEST(ServerTest, WhatWasReadCannotBeForwarded) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    request.ReadBody().status().IgnoreError();
    return Forward(request);
  });
  EXPECT_EQ(Caller(server->address()).Start("test", true).End().All(),
            "read_body { }; status 13: the handler forwards a request whose body it has read");
}

// To upper case, with a mark at the end.
void Upper(std::optional<std::string_view> piece, BodyWriter& out) {
  if (!piece.has_value()) {
    out.Write("!");
    return;
  }
  std::string changed(*piece);
  std::transform(changed.begin(), changed.end(), changed.begin(), toupper);
  out.Write(changed);
}

TEST(ServerTest, TransformsARequest) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).TransformRequest(Upper);
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Next(), "forward { transform_request: true }");
  EXPECT_EQ(caller.Body("a").Next(), "request_body: \"A\"");
  EXPECT_EQ(caller.Body("b").End().All(),
            "request_body: \"B\"; request_body: \"!\"; request_end { }; status 0: ");
}

TEST(ServerTest, TransformsWhatWasNotRead) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    if (!request.ReadPiece().ok()) return Respond(500);
    return Forward(request).TransformRequest(Upper, 2);
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Body("a").Next(), "read_body { }");
  EXPECT_EQ(caller.Next(), "forward { transform_request: true content_length: 2 }");
  EXPECT_EQ(caller.Body("b").End().All(),
            "request_body: \"B\"; request_body: \"!\"; request_end { }; status 0: ");
}

TEST(ServerTest, SetsABody) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    return Forward(request).SetBody(request.ReadBody().value_or("?") + "+");
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Body("a").End().All(),
            "read_body { }; forward { transform_request: true content_length: 2 }; "
            "request_body: \"a+\"; request_end { }; status 0: ");
}

TEST(ServerTest, InspectsAndPasses) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse([](const OriginResponse& response) {
      return Pass().SetStatus(response.status + 1).SetHeader("X-Was", *response.header("Server"));
    });
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test").Next(), "forward { inspect_response: true }");
  EXPECT_EQ(
      caller.Response(200).All(),
      "pass_response { status: 201 set_headers { name: \"x-was\" value: \"s\" } }; status 0: ");
}

TEST(ServerTest, InspectsAndTransforms) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse(
        [](const OriginResponse&) { return Pass().RemoveHeader("Server").TransformBody(Upper); });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Response(200).Next(),
            "pass_response { remove_headers: \"server\" transform_body: true }");
  EXPECT_EQ(caller.ResponseBody("a").Next(), "body A");
  EXPECT_EQ(caller.ResponseEnd().All(),
            "body !; end { trailers { name: \"x-sum\" value: \"7\" } }; status 0: ");
}

TEST(ServerTest, InspectsAndAnswersInstead) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse([](const OriginResponse& response) -> ResponseAnswer {
      if (response.status == 500) return absl::InternalError("as the origin");
      return Respond(418, "tea");
    });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Response(200).All(),
            "respond { status: 418 headers { name: \"content-length\" value: \"3\" } }; body tea; "
            "end { }; status 0: ");
  Caller failing(server->address());
  failing.Start("test").Next();
  EXPECT_EQ(failing.Response(500).All(), "status 13: as the origin");
}

TEST(ServerTest, BothDirectionsAtOnce) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).TransformRequest(Upper).InspectResponse(
        [](const OriginResponse&) { return Pass().TransformBody(Upper); });
  });
  Caller caller(server->address());
  caller.Start("test", true).Next();
  EXPECT_EQ(caller.Body("q").Next(), "request_body: \"Q\"");
  EXPECT_EQ(caller.Response(200).Next(), "pass_response { transform_body: true }");
  EXPECT_EQ(caller.ResponseBody("r").Next(), "body R");
  EXPECT_EQ(caller.Body("q").Next(), "request_body: \"Q\"");
  EXPECT_EQ(caller.ResponseEnd().End().All(),
            "body !; end { trailers { name: \"x-sum\" value: \"7\" } }; request_body: \"!\"; "
            "request_end { }; status 0: ");
}

TEST(ServerTest, WhatATransformThrowsStaysHere) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).TransformRequest(
        [](std::optional<std::string_view>, BodyWriter&) { throw std::runtime_error("secret"); });
  });
  Caller caller(server->address());
  caller.Start("test", true).Next();
  EXPECT_EQ(caller.Body("q").All(), "status 13: the handler threw an exception");
}

TEST(ServerTest, AMediationEndsWhenTheCallerHangsUp) {
  Signal ended;
  const auto server = Serve([&ended](const Request& request, const Context&) {
    const std::shared_ptr<void> alive(nullptr, [&ended](void*) { ended.Set(); });
    return Forward(request).InspectResponse([alive](const OriginResponse&) { return Pass(); });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  caller.Cancel();
  ended.Wait();
}

TEST(ServerTest, Leases) {
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

TEST(ServerTest, AReadEndsWhenTheCallerHangsUp) {
  Signal ended;
  const auto server = Serve([&ended](const Request& request, const Context&) -> Answer {
    const absl::Status status = request.ReadBody().status();
    if (status == absl::CancelledError("the container hung up")) ended.Set();
    return status;
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Next(), "read_body { }");
  caller.Cancel();
  ended.Wait();
}

TEST(ServerTest, AStreamEndsWhenTheCallerHangsUp) {
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

TEST(ServerTest, LongBodiesComeInPieces) {
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
