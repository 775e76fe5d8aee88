// Services that register their own endpoints, on real streams.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Result = v1::MutationResult;
using Registry = v1::HandlerRegistry::Stub;

constexpr milliseconds kShort{50};
constexpr milliseconds kLong{60'000};

// One service's stream.
class Service {
 public:
  Service(const TestServer& server, const std::string& name, const std::string& endpoint,
          milliseconds grace = kLong)
      : Service(server) {
    v1::ServeHandlerRequest request;
    request.mutable_start()->set_name(name);
    request.mutable_start()->set_endpoint(endpoint);
    request.mutable_start()->mutable_grace_period()->set_seconds(grace.count() / 1000);
    request.mutable_start()->mutable_grace_period()->set_nanos(
        static_cast<int32_t>(grace.count() % 1000 * 1'000'000));
    Send(request);
  }
  explicit Service(const TestServer& server)
      : stub_(v1::HandlerRegistry::NewStub(server.NewChannel())) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    stream_ = stub_->ServeHandler(&context_);
  }
  ~Service() { context_.TryCancel(); }

  void Send(const v1::ServeHandlerRequest& request) { stream_->Write(request); }
  void Drain() {
    v1::ServeHandlerRequest request;
    request.mutable_drain();
    Send(request);
  }
  std::optional<v1::ServeHandlerResponse> Next() {
    v1::ServeHandlerResponse response;
    if (!stream_->Read(&response)) return std::nullopt;
    return response;
  }
  // The answer to the start, or to the drain.
  Result Registered() {
    const auto next = Next();
    EXPECT_TRUE(next.has_value() && next->has_registered());
    return next.has_value() ? next->registered().result() : Result();
  }
  Result Drained() {
    const auto next = Next();
    EXPECT_TRUE(next.has_value() && next->has_drained());
    return next.has_value() ? next->drained().result() : Result();
  }
  // How the stream ended. Waits for it.
  grpc::Status Ended() {
    while (Next().has_value()) continue;
    return stream_->Finish();
  }
  grpc::Status EndInOrder() {
    stream_->WritesDone();
    return Ended();
  }
  void BreakOff() {
    context_.TryCancel();
    Ended().error_code();
  }

 private:
  const std::unique_ptr<Registry> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServeHandlerRequest, v1::ServeHandlerResponse>>
      stream_;
};

class ServeHandlerTest : public testing::Test {
 protected:
  ServeHandlerTest() { EXPECT_TRUE(Register("name: 'kv'").ok()); }

  grpc::Status Register(const std::string& fields) {
    v1::RegisterHandlerRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(fields, request.mutable_handler()));
    *request.mutable_options() = WaitStored();
    return Call(server_.registry(), &Registry::RegisterHandler, request, &registered_);
  }
  // "grpc://a:1", "grpc://b:1 draining".
  std::vector<std::string> Live(const std::string& name = "kv") {
    v1::GetHandlerRequest request;
    request.set_name(name);
    v1::GetHandlerResponse response;
    EXPECT_TRUE(Call(server_.registry(), &Registry::GetHandler, request, &response).ok());
    return TextOf(response.handler());
  }
  static std::vector<std::string> TextOf(const v1::Handler& handler) {
    std::vector<std::string> texts;
    for (const v1::LiveEndpoint& live : handler.live_endpoints())
      texts.push_back(live.endpoint() + (live.draining() ? " draining" : ""));
    return texts;
  }
  // Ten seconds at most.
  bool Await(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  TestServer server_;
  v1::RegisterHandlerResponse registered_;
};

TEST_F(ServeHandlerTest, IsAnEndpointAsLongAsItsStreamLives) {
  Service service(server_, "kv", "GRPC://A.test.:1");
  const Result result = service.Registered();
  EXPECT_EQ(result.enforcement(), Result::NOT_ATTACHED);
  EXPECT_THAT(Live(), ElementsAre("grpc://a.test:1"));
  EXPECT_TRUE(service.EndInOrder().ok());
  EXPECT_THAT(Live(), IsEmpty()) << "before the stream's end is answered";
}

TEST_F(ServeHandlerTest, IsAnsweredWhenTheHostsEnforceIt) {
  v1::ContainerClass web;
  web.set_name("web");
  web.mutable_outbound()->set_handler("kv");
  server_.ApplyClass(web);
  FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  FakeAgent::Acks::kByHand);
  agent.Ack(agent.NextDelta()->revision());
  Service service(server_, "kv", "grpc://a:1");
  const auto came = agent.NextDelta();
  ASSERT_TRUE(came.has_value());
  EXPECT_THAT(TextOf(came->updated(0).handler()), ElementsAre("grpc://a:1"));
  agent.Ack(came->revision());
  const Result registered = service.Registered();
  EXPECT_EQ(registered.enforcement(), Result::ENFORCED);
  EXPECT_EQ(registered.revision(), came->revision());

  service.Drain();
  const auto drains = agent.NextDelta();
  ASSERT_TRUE(drains.has_value());
  EXPECT_THAT(TextOf(drains->updated(0).handler()), ElementsAre("grpc://a:1 draining"));
  agent.Ack(drains->revision());
  EXPECT_THAT(service.Drained().enforced_hosts(), ElementsAre("host-7"));

  EXPECT_TRUE(service.EndInOrder().ok());
  const auto went = agent.NextDelta();
  ASSERT_TRUE(went.has_value());
  EXPECT_THAT(TextOf(went->updated(0).handler()), IsEmpty());
}

TEST_F(ServeHandlerTest, StaysForTheGracePeriodWhenItsStreamBreaksOff) {
  Service brief(server_, "kv", "grpc://a:1", kShort);
  Service patient(server_, "kv", "grpc://b:1", kLong);
  brief.Registered();
  patient.Registered();
  patient.BreakOff();
  brief.BreakOff();
  EXPECT_TRUE(Await([&] { return Live() == std::vector<std::string>{"grpc://b:1"}; }));
}

TEST_F(ServeHandlerTest, ComesBackWithinTheGracePeriod) {
  Service first(server_, "kv", "grpc://a:1", milliseconds(300));
  const uint64_t revision = first.Registered().revision();
  first.BreakOff();
  Service second(server_, "kv", "grpc://a:1", kLong);
  EXPECT_EQ(second.Registered().revision(), revision) << "nothing has changed";
  // As long as the first would have been waited for.
  Service other(server_, "kv", "grpc://b:1", milliseconds(300));
  other.Registered();
  other.BreakOff();
  EXPECT_TRUE(Await([&] { return Live() == std::vector<std::string>{"grpc://a:1"}; }));
}

TEST_F(ServeHandlerTest, OneThatDrainedHasNoGracePeriod) {
  Service service(server_, "kv", "grpc://a:1", kLong);
  service.Registered();
  service.Drain();
  service.Drained();
  EXPECT_THAT(Live(), ElementsAre("grpc://a:1 draining"));
  service.BreakOff();
  EXPECT_TRUE(Await([&] { return Live().empty(); }));
}

TEST_F(ServeHandlerTest, TwoStreamsOfOneEndpoint) {
  Service first(server_, "kv", "grpc://a:1");
  Service second(server_, "kv", "grpc://a:1");
  first.Registered();
  second.Registered();
  EXPECT_THAT(Live(), ElementsAre("grpc://a:1"));
  first.Drain();
  first.Drained();
  EXPECT_THAT(Live(), ElementsAre("grpc://a:1")) << "the other serves";
  EXPECT_TRUE(first.EndInOrder().ok());
  EXPECT_THAT(Live(), ElementsAre("grpc://a:1"));
  second.Drain();
  second.Drained();
  EXPECT_THAT(Live(), ElementsAre("grpc://a:1 draining"));
  EXPECT_TRUE(second.EndInOrder().ok());
  EXPECT_THAT(Live(), IsEmpty());
}

TEST_F(ServeHandlerTest, ARegistrationKeepsThem) {
  Service service(server_, "kv", "grpc://a:1");
  service.Registered();
  ASSERT_TRUE(Register("name: 'kv' endpoints: 'unix:/k' live_endpoints { endpoint: 'x' }").ok());
  EXPECT_THAT(TextOf(registered_.handler()), ElementsAre("grpc://a:1"));
  EXPECT_THAT(Live(), ElementsAre("grpc://a:1"));
  const grpc::Status other = Register("name: 'kv' endpoints: 'http://k:1'");
  EXPECT_EQ(other.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(other.error_message(),
              HasSubstr("handler: \"grpc://a:1\" speaks gRPC, this handler's \"http://k:1\""));
  const grpc::Status builtin = Register("name: 'kv' builtin { scheme: 'https' }");
  EXPECT_EQ(builtin.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(service.EndInOrder().ok());
  EXPECT_TRUE(Register("name: 'kv' builtin { scheme: 'https' }").ok());
}

TEST_F(ServeHandlerTest, RemovalEndsTheStreams) {
  Service service(server_, "kv", "grpc://a:1");
  Service of_another(server_, "other", "grpc://a:1");
  EXPECT_EQ(of_another.Ended().error_code(), StatusCode::NOT_FOUND) << "never registered";
  service.Registered();
  v1::RemoveHandlerRequest request;
  request.set_name("kv");
  Result result;
  ASSERT_TRUE(Call(server_.registry(), &Registry::RemoveHandler, request, &result).ok());
  const grpc::Status ended = service.Ended();
  EXPECT_EQ(ended.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(ended.error_message(), HasSubstr("removed"));
  ASSERT_TRUE(Register("name: 'kv'").ok());
  EXPECT_THAT(Live(), IsEmpty());
}

TEST_F(ServeHandlerTest, WhatDoesNotFitIsRefused) {
  ASSERT_TRUE(Register("name: 'grpc' endpoints: 'grpc://g:1'").ok());
  ASSERT_TRUE(Register("name: 'builtin' builtin { scheme: 'https' }").ok());
  ASSERT_TRUE(Register("name: 'checked' health_check {}").ok());
  const struct {
    const char* name;
    const char* endpoint;
    const char* message;
  } cases[] = {
      {"grpc", "http://a:1", "endpoint: \"http://a:1\" speaks HTTP, this handler's"},
      {"builtin", "grpc://a:1", "endpoint: a builtin asks no service"},
      {"checked", "http://a:1", "endpoint: the handler has a health check, which is for gRPC"},
      {"grpc", "a:1", "endpoint: \"a:1\" is not of a known form"},
      {"", "grpc://a:1", "name: is empty"},
  };
  for (const auto& c : cases) {
    const grpc::Status status = Service(server_, c.name, c.endpoint).Ended();
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << c.message;
    EXPECT_THAT(status.error_message(), HasSubstr(c.message));
  }
  EXPECT_THAT(Service(server_, "grpc", "grpc://a:1", milliseconds(600'001)).Ended().error_message(),
              HasSubstr("grace_period: must be whole milliseconds from 0 ms to 10 min"));
  EXPECT_THAT(Live("grpc"), IsEmpty());
}

TEST_F(ServeHandlerTest, MessagesOutOfOrderEndTheStream) {
  Service drains_first(server_);
  drains_first.Drain();
  EXPECT_EQ(drains_first.Ended().error_code(), StatusCode::INVALID_ARGUMENT);
  Service twice(server_, "kv", "grpc://a:1");
  twice.Registered();
  v1::ServeHandlerRequest again;
  again.mutable_start()->set_name("kv");
  again.mutable_start()->set_endpoint("grpc://b:1");
  twice.Send(again);
  EXPECT_EQ(twice.Ended().error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Live(), IsEmpty());
  EXPECT_TRUE(Service(server_).EndInOrder().ok()) << "one that wants nothing";
}

TEST_F(ServeHandlerTest, OnlySoManyOfAHandler) {
  std::vector<std::unique_ptr<Service>> services;
  for (int i = 0; i < 64; ++i) {
    services.push_back(std::make_unique<Service>(server_, "kv", StrCat("grpc://a:", i + 1)));
    services.back()->Registered();
  }
  const grpc::Status status = Service(server_, "kv", "grpc://a:65").Ended();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("handler kv has 64 live endpoints"));
  EXPECT_TRUE(services.front()->EndInOrder().ok());
  Service(server_, "kv", "grpc://a:65").Registered();
}

TEST_F(ServeHandlerTest, OutlivesARestartOfTheControlPlane) {
  Service service(server_, "kv", "grpc://a:1");
  Service drains(server_, "kv", "grpc://b:1");
  service.Registered();
  drains.Registered();
  drains.Drain();
  drains.Drained();
  server_.Restart();
  EXPECT_EQ(service.Ended().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(drains.Ended().error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Await([&] { return Live() == std::vector<std::string>{"grpc://a:1"}; }))
      << "nobody waits for one that was draining";
  Service again(server_, "kv", "grpc://a:1");
  again.Registered();
  EXPECT_TRUE(again.EndInOrder().ok());
  EXPECT_THAT(Live(), IsEmpty());
}

}  // namespace
}  // namespace sallyport
