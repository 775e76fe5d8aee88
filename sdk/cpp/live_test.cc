// Endpoints that are registered while they are served, against a control plane that is played; and
// what a server says of its health.

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

// Keeps streams, and says what it heard.
class FakeRegistry final : public v1::HandlerRegistry::Service {
 public:
  grpc::Status ServeHandler(grpc::ServerContext* context,
                            grpc::ServerReaderWriter<v1::ServeHandlerResponse,
                                                     v1::ServeHandlerRequest>* stream) override {
    v1::ServeHandlerRequest request;
    {
      MutexLock lock(&mutex_);
      if (!refusal_.ok()) return refusal_;
    }
    while (stream->Read(&request)) {
      v1::ServeHandlerResponse response;
      if (request.has_start()) {
        Hear(StrCat(request.start().name(), " ", request.start().endpoint(), " ",
                    request.start().grace_period().seconds()));
        response.mutable_registered();
      } else {
        Hear("drain");
        response.mutable_drained();
      }
      stream->Write(response);
      MutexLock lock(&mutex_);
      if (breaks_off_) {
        breaks_off_ = false;
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "it stops");
      }
    }
    Hear(context->IsCancelled() ? "cancelled" : "end");
    return grpc::Status::OK;
  }

  void Refuse(grpc::Status refusal) {
    MutexLock lock(&mutex_);
    refusal_ = std::move(refusal);
  }
  void BreakOffNext() {
    MutexLock lock(&mutex_);
    breaks_off_ = true;
  }
  std::string Next() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    MutexLock lock(&mutex_);
    while (heard_.empty()) {
      if (!changed_.WaitUntil(&mutex_, until)) return "nothing";
    }
    std::string first = heard_.front();
    heard_.pop_front();
    return first;
  }

 private:
  void Hear(std::string what) {
    MutexLock lock(&mutex_);
    heard_.push_back(std::move(what));
    changed_.SignalAll();
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::string> heard_ ABSL_GUARDED_BY(mutex_);
  grpc::Status refusal_ ABSL_GUARDED_BY(mutex_);
  bool breaks_off_ ABSL_GUARDED_BY(mutex_) = false;
};

class LiveTest : public testing::Test {
 protected:
  LiveTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&registry_);
    control_plane_ = builder.BuildAndStart();
  }

  absl::StatusOr<std::unique_ptr<Server>> Serve(Live live) {
    const auto handler = [](const Request&, const Context&) { return Respond(200); };
    if (live.control_plane.empty()) live.control_plane = StrCat("127.0.0.1:", port_);
    return Server::Start({.listen = "127.0.0.1:0", .live = std::move(live)},
                         {{"a", handler}, {"b", handler}});
  }

  FakeRegistry registry_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> control_plane_;
};

TEST_F(LiveTest, IsThereUntilItDrains) {
  auto server = Serve(
      {.names = {"a"}, .advertise = "grpc://10.0.0.7:1", .grace_period = std::chrono::seconds(3)});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(registry_.Next(), "a grpc://10.0.0.7:1 3");
  (*server)->Drain();
  (*server)->Drain();
  EXPECT_EQ(registry_.Next(), "drain");
  (*server)->Stop();
  EXPECT_EQ(registry_.Next(), "end");
}

TEST_F(LiveTest, ComesBackWhenTheStreamBreaksOff) {
  registry_.BreakOffNext();
  const auto server = Serve({.names = {"b"}});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string start = StrCat("b grpc://", (*server)->address(), " 10");
  EXPECT_EQ(registry_.Next(), start);
  EXPECT_EQ(registry_.Next(), start);
}

TEST_F(LiveTest, AllThatAreServed) {
  const auto server = Serve({});
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string at = StrCat(" grpc://", (*server)->address(), " 10");
  const std::vector<std::string> heard = {registry_.Next(), registry_.Next()};
  EXPECT_THAT(heard, UnorderedElementsAre(StrCat("a", at), StrCat("b", at)));
}

TEST_F(LiveTest, ARefusalIsAnError) {
  registry_.Refuse(grpc::Status(grpc::StatusCode::NOT_FOUND, "no such handler"));
  const auto server = Serve({});
  EXPECT_TRUE(absl::IsNotFound(server.status()));
  EXPECT_EQ(server.status().message(), "no such handler");
}

TEST_F(LiveTest, NoHostCanCallAWildcard) {
  const auto server = Server::Start(
      {.listen = "0.0.0.0:0", .live = Live{.control_plane = StrCat("127.0.0.1:", port_)}}, {});
  EXPECT_TRUE(absl::IsInvalidArgument(server.status()));
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("set `advertise`"));
}

TEST_F(LiveTest, AControlPlaneThatIsAwayIsNone) {
  control_plane_->Shutdown();
  const auto server = Serve({});
  ASSERT_TRUE(server.ok()) << server.status();
  (*server)->Drain();
}

TEST_F(LiveTest, SaysHowItIs) {
  const auto server = Serve({});
  ASSERT_TRUE(server.ok()) << server.status();
  // The answer's bytes, or the status's code.
  const auto check = [&](std::string_view request) {
    grpc::GenericStub stub(
        grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request.data(), request.size());
    const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                            grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) return std::to_string(status.error_code());
    grpc::Slice bytes;
    answer.DumpToSingleSlice(&bytes).ok();
    return std::string(bytes.begin(), bytes.end());
  };
  EXPECT_EQ(check(""), "\x08\x01");
  EXPECT_EQ(check("\n\1a"), "\x08\x01");
  EXPECT_EQ(check("\n\1c"), std::to_string(grpc::StatusCode::NOT_FOUND));
  (*server)->Drain();
  EXPECT_EQ(check(""), "\x08\x02");
  EXPECT_EQ(check("\n\1a"), "\x08\x02");
}

}  // namespace
}  // namespace sallyport
