// The bodies of requests: read, changed, and both.

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "sdk/cpp/caller.h"

namespace sallyport {
namespace {

TEST(RequestBodyTest, ReadsTheBodyWhenAsked) {
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

TEST(RequestBodyTest, ABodyBeyondTheLimitIsAnError) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    return request.ReadBody(9).status();
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Body("12345").Body("67890").All(),
            "read_body { }; status 8: the body is longer than 9 bytes");
}

TEST(RequestBodyTest, ARequestWithoutBodyIsNotAskedForOne) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    if (request.ReadBody().value() != "") return Respond(500);
    return Forward(request);
  });
  EXPECT_EQ(Caller(server->address()).Start("test").All(), "forward { }; status 0: ");
}

TEST(RequestBodyTest, WhatWasReadCannotBeForwarded) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    request.ReadBody().status().IgnoreError();
    return Forward(request);
  });
  EXPECT_EQ(Caller(server->address()).Start("test", true).End().All(),
            "read_body { }; status 13: the handler forwards a request whose body it has read");
}

TEST(RequestBodyTest, AReadEndsWhenTheCallerHangsUp) {
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

TEST(RequestBodyTest, TransformsARequest) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).TransformRequest(Upper);
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Next(), "forward { transform_request: true }");
  EXPECT_EQ(caller.Body("a").Next(), "request_body: \"A\"");
  EXPECT_EQ(caller.Body("b").End().All(),
            "request_body: \"B\"; request_body: \"!\"; request_end { }; status 0: ");
}

TEST(RequestBodyTest, TransformsWhatWasNotRead) {
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

TEST(RequestBodyTest, SetsABody) {
  const auto server = Serve([](const Request& request, const Context&) -> Answer {
    return Forward(request).SetBody(request.ReadBody().value_or("?") + "+");
  });
  Caller caller(server->address());
  EXPECT_EQ(caller.Start("test", true).Body("a").End().All(),
            "read_body { }; forward { transform_request: true content_length: 2 }; "
            "request_body: \"a+\"; request_end { }; status 0: ");
}

TEST(RequestBodyTest, WhatATransformThrowsStaysHere) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).TransformRequest(
        [](std::optional<std::string_view>, BodyWriter&) { throw std::runtime_error("secret"); });
  });
  Caller caller(server->address());
  caller.Start("test", true).Next();
  EXPECT_EQ(caller.Body("q").All(), "status 13: the handler threw an exception");
}

}  // namespace
}  // namespace sallyport
