// What the origin answers, seen before the container.

#include <memory>
#include <string>

#include "sdk/cpp/caller.h"

namespace sallyport {
namespace {

TEST(InspectionTest, InspectsAndPasses) {
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

TEST(InspectionTest, InspectsAndTransforms) {
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

TEST(InspectionTest, InspectsAndAnswersInstead) {
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

TEST(InspectionTest, ReadsTheBodyBeforeItDecides) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse([](const OriginResponse& response) -> ResponseAnswer {
      const absl::StatusOr<std::string> body = response.ReadBody(10);
      if (!body.ok()) return Respond(502, "too long");
      if (response.ReadBody().value_or("?") != "") return absl::InternalError("read twice");
      if (*body == "secret") return Respond(403, "no");
      return Pass().SetStatus(203).SetBody(*body + "!");
    });
  });
  Caller passing(server->address());
  passing.Start("test").Next();
  EXPECT_EQ(passing.Response(200, true).Next(), "read_response_body { }");
  EXPECT_EQ(
      passing.ResponseBody("fi").ResponseBody("ne").ResponseEnd().All(),
      "pass_response { status: 203 set_headers { name: \"content-length\" value: \"5\" } "
      "transform_body: true }; body fine!; end { trailers { name: \"x-sum\" value: \"7\" } }; "
      "status 0: ");
  Caller replacing(server->address());
  replacing.Start("test").Next();
  EXPECT_EQ(replacing.Response(200, true).Next(), "read_response_body { }");
  EXPECT_EQ(replacing.ResponseBody("secret").ResponseEnd().All(),
            "respond { status: 403 headers { name: \"content-length\" value: \"2\" } }; body no; "
            "end { }; status 0: ");
  Caller beyond(server->address());
  beyond.Start("test").Next();
  EXPECT_EQ(beyond.Response(200, true).Next(), "read_response_body { }");
  EXPECT_EQ(beyond.ResponseBody("12345678901").Next().substr(0, 21), "respond { status: 502");
}

TEST(InspectionTest, ABodyThatIsNotThereIsNotAskedFor) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse([](const OriginResponse& response) -> ResponseAnswer {
      if (response.ReadBody().value_or("?") != "") return Respond(500);
      return Pass().SetBody("dropped");
    });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Response(204).All(), "pass_response { }; status 0: ");
}

TEST(InspectionTest, TransformsWhatWasNotRead) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse([](const OriginResponse& response) -> ResponseAnswer {
      if (!response.ReadPiece().ok()) return Respond(500);
      return Pass().TransformBody(Upper);
    });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Response(200, true).Next(), "read_response_body { }");
  EXPECT_EQ(caller.ResponseBody("a").Next(), "pass_response { transform_body: true }");
  EXPECT_EQ(caller.ResponseBody("b").ResponseEnd().All(),
            "body B; body !; end { trailers { name: \"x-sum\" value: \"7\" } }; status 0: ");
}

TEST(InspectionTest, WhatWasReadCannotPassByItself) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).InspectResponse([](const OriginResponse& response) -> ResponseAnswer {
      response.ReadBody().status().IgnoreError();
      return Pass();
    });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Response(200, true).ResponseEnd().All(),
            "read_response_body { }; status 13: the handler passes a response on whose body it has "
            "read");
}

TEST(InspectionTest, TheRequestGoesOnWhileTheResponseIsRead) {
  const auto server = Serve([](const Request& request, const Context&) {
    return Forward(request).TransformRequest(Upper).InspectResponse(
        [](const OriginResponse& response) -> ResponseAnswer {
          return Respond(200, response.ReadBody().value_or("?"));
        });
  });
  Caller caller(server->address());
  caller.Start("test", true).Next();
  EXPECT_EQ(caller.Response(200, true).Next(), "read_response_body { }");
  EXPECT_EQ(caller.Body("q").Next(), "request_body: \"Q\"");
  EXPECT_EQ(caller.ResponseBody("r").End().Next(), "request_body: \"!\"");
  EXPECT_EQ(caller.Next(), "request_end { }");
  EXPECT_EQ(caller.ResponseEnd().Next().substr(0, 21), "respond { status: 200");
  EXPECT_EQ(caller.All(), "body r; end { }; status 0: ");
}

TEST(InspectionTest, AReadEndsWhenTheCallerHangsUp) {
  Signal ended;
  const auto server = Serve([&ended](const Request& request, const Context&) {
    return Forward(request).InspectResponse(
        [&ended](const OriginResponse& response) -> ResponseAnswer {
          const absl::Status status = response.ReadBody().status();
          if (status == absl::CancelledError("the container hung up")) ended.Set();
          return status;
        });
  });
  Caller caller(server->address());
  caller.Start("test").Next();
  EXPECT_EQ(caller.Response(200, true).Next(), "read_response_body { }");
  caller.Cancel();
  ended.Wait();
}

TEST(InspectionTest, BothDirectionsAtOnce) {
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

TEST(InspectionTest, AMediationEndsWhenTheCallerHangsUp) {
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

}  // namespace
}  // namespace sallyport
