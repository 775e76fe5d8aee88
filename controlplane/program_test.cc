// The program sallyportd itself: flags, sockets, signals, a kill.

#include "controlplane/testing/program.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Policy = v1::OutboundPolicy::Stub;

// ThreadSanitizer waits for a second of its own when a program ends (atexit_sleep_ms).
#if __has_feature(thread_sanitizer)
constexpr std::chrono::seconds kStopLimit{2 + 1};
#else
constexpr std::chrono::seconds kStopLimit{2};
#endif

class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    std::string name = "/tmp/program.XXXXXX";
    dir_ = mkdtemp(name.data());
  }
  ~ProgramTest() override { std::filesystem::remove_all(dir_); }

  std::vector<std::string> Flags(const std::string& listen) const {
    return {"--state-dir", dir_ + "/state", "--listen=" + listen};
  }
  std::string Socket() const { return "unix:" + dir_ + "/s"; }
  static grpc::Status Apply(const std::string& address, const std::string& name) {
    const auto stub = v1::OutboundPolicy::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    v1::ApplyClassRequest request;
    request.mutable_class_()->set_name(name);
    v1::ApplyClassResponse response;
    return Call(*stub, &Policy::ApplyClass, request, &response);
  }

  std::string dir_;
};

TEST_F(ProgramTest, HelpHasAnExample) {
  Program program({"--help"});
  EXPECT_THAT(program.ReadAll(), HasSubstr("Example:\n  sallyportd --state-dir"));
  EXPECT_EQ(program.Wait(), 0);
}

TEST_F(ProgramTest, WrongFlagsExitWithTwoAndAHint) {
  Program unknown({"--state-dri", "/x"});
  EXPECT_THAT(unknown.ReadAll(), HasSubstr("did you mean --state-dir?"));
  EXPECT_EQ(unknown.Wait(), 2);
  Program open({"--listen", "0.0.0.0:1"});
  EXPECT_THAT(open.ReadAll(), HasSubstr("mutual TLS"));
  EXPECT_EQ(open.Wait(), 2);
}

TEST_F(ProgramTest, ServesOnPrivateSocketAndStopsOnSignal) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Program program(Flags(Socket()));
    EXPECT_EQ(program.ReadTo("\n"), "listening on " + Socket() + "\n");
    struct stat info = {};
    ASSERT_EQ(::stat((dir_ + "/s").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_TRUE(Apply(Socket(), "web").ok());
    const auto begin = std::chrono::steady_clock::now();
    program.Signal(signal);
    EXPECT_EQ(program.Wait(), 0);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, kStopLimit);
  }
}

// gRPC's own clean-up joins a thread that helps blocked writes along for ten seconds.
TEST_F(ProgramTest, StopsInTimeAfterLargeAnswers) {
  Program program(Flags(Socket()));
  program.ReadTo("\n");
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  const auto stub = v1::OutboundPolicy::NewStub(
      grpc::CreateCustomChannel(Socket(), grpc::InsecureChannelCredentials(), arguments));
  v1::ApplyClassRequest request;
  request.mutable_class_()->set_name("large");
  for (int host = 0; host < 60'000; ++host) {
    request.mutable_class_()->mutable_allowed_hosts()->add_hosts(
        "a-rather-long-name-of-a-host-" + std::to_string(host) + ".example.com");
  }
  v1::ApplyClassResponse applied;
  ASSERT_TRUE(Call(*stub, &Policy::ApplyClass, request, &applied).ok());
  v1::ListClassesResponse classes;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Call(*stub, &Policy::ListClasses, {}, &classes).ok());
  }
  const auto begin = std::chrono::steady_clock::now();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kStopLimit);
}

// An agent that does not read what it is sent holds nothing up.
TEST_F(ProgramTest, StopsInTimeWithADeafAgent) {
  Program program(Flags(Socket()));
  program.ReadTo("\n");
  const auto channel = grpc::CreateChannel(Socket(), grpc::InsecureChannelCredentials());
  const auto policy = v1::OutboundPolicy::NewStub(channel);
  v1::ApplyClassRequest request;
  request.mutable_class_()->set_name("large");
  for (int host = 0; host < 20'000; ++host) {
    request.mutable_class_()->mutable_allowed_hosts()->add_hosts(
        "a-rather-long-name-of-a-host-" + std::to_string(host) + ".example.com");
  }
  v1::ApplyClassResponse applied;
  ASSERT_TRUE(Call(*policy, &Policy::ApplyClass, request, &applied).ok());

  const auto stub = v1::PolicySync::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->Sync(&context);
  v1::SyncRequest hello;
  *hello.mutable_hello() = FakeAgent::Hello("host-7", {{"web-1", "large"}});
  ASSERT_TRUE(stream->Write(hello));
  v1::SyncResponse result;
  ASSERT_TRUE(stream->Read(&result));  // The AttachResult: a large delta follows, and nobody reads.

  const auto begin = std::chrono::steady_clock::now();
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kStopLimit);
  context.TryCancel();
  stream->Finish();
}

TEST_F(ProgramTest, PicksAPortAndListensTwice) {
  std::vector<std::string> flags = Flags("127.0.0.1:0");
  flags.push_back("--listen=" + Socket());
  Program program(flags);
  // A port without TLS is warned of, on the same pipe.
  std::string line = program.ReadTo("\n");
  while (line.find(" warning ") != std::string::npos) line = program.ReadTo("\n");
  ASSERT_THAT(line, StartsWith("listening on 127.0.0.1:"));
  EXPECT_EQ(program.ReadTo("\n"), "listening on " + Socket() + "\n");
  const std::string address = line.substr(13, line.size() - 14);
  EXPECT_NE(address, "127.0.0.1:0");
  EXPECT_TRUE(Apply(address, "web").ok());

  Program second({"--state-dir", dir_ + "/other", "--listen", address});
  EXPECT_THAT(second.ReadAll(), HasSubstr("cannot listen on " + address));
  EXPECT_EQ(second.Wait(), 1);
}

TEST_F(ProgramTest, SecondOnTheSameStateIsRefused) {
  Program first(Flags(Socket()));
  first.ReadTo("\n");
  Program second(Flags("127.0.0.1:0"));
  EXPECT_THAT(second.ReadAll(), HasSubstr("another sallyportd uses the state directory"));
  EXPECT_EQ(second.Wait(), 1);
}

TEST_F(ProgramTest, KilledOneIsReplaced) {
  {
    Program program(Flags(Socket()));
    program.ReadTo("\n");
    ASSERT_TRUE(Apply(Socket(), "web").ok());
    program.Signal(SIGKILL);
    EXPECT_EQ(program.Wait(), -SIGKILL);
  }
  Program program(Flags(Socket()));
  program.ReadTo("\n");
  const auto stub = v1::OutboundPolicy::NewStub(
      grpc::CreateChannel(Socket(), grpc::InsecureChannelCredentials()));
  v1::GetClassRequest request;
  request.set_name("web");
  v1::GetClassResponse response;
  EXPECT_TRUE(Call(*stub, &Policy::GetClass, request, &response).ok());
}

// A client that repeats each call until it is answered, while the program is killed at any time:
// nothing is lost, and nothing is done twice, although the client cannot tell what was.
TEST_F(ProgramTest, CallsRepeatedAfterKillsAreCarriedOutOnce) {
  std::mt19937 random(20260102);
  auto program = std::make_unique<Program>(Flags(Socket()));
  program->ReadTo("\n");
  ASSERT_TRUE(Apply(Socket(), "web").ok());
  const auto stub = v1::OutboundPolicy::NewStub(ImpatientChannel(Socket()));
  std::atomic<int> answered = 0;
  std::atomic<int> unanswered = 0;
  constexpr int kCalls = 200;
  // Each call makes the class anew with another port: the revision counts them.
  std::vector<uint64_t> revisions;
  std::thread client([&] {
    for (int call = 0; call < kCalls; ++call) {
      v1::ApplyClassRequest request;
      request.mutable_class_()->set_name("web");
      request.mutable_class_()->add_http_ports(1000 + call);
      request.mutable_options()->set_request_id("call-" + std::to_string(call));
      request.mutable_options()->set_expected_revision(call + 1);
      v1::ApplyClassResponse response;
      grpc::Status status;
      do {
        status = Call(*stub, &Policy::ApplyClass, request, &response);
        if (!status.ok()) ++unanswered;
      } while (status.error_code() == grpc::StatusCode::UNAVAILABLE);
      EXPECT_TRUE(status.ok()) << status.error_message();
      revisions.push_back(response.result().revision());
      ++answered;
    }
  });
  int kills = 0;
  while (answered < kCalls) {
    ::usleep(random() % 20'000);
    program->Signal(SIGKILL);
    EXPECT_EQ(program->Wait(), -SIGKILL);
    ++kills;
    program = std::make_unique<Program>(Flags(Socket()));
    program->ReadTo("\n");
    const int before = answered;
    // At least one call gets through between two kills.
    while (answered == before && answered < kCalls) ::usleep(100);
  }
  client.join();
  EXPECT_GT(kills, 5);
  EXPECT_GT(unanswered.load(), 0) << "no kill met a call";
  for (int call = 0; call < kCalls; ++call) EXPECT_EQ(revisions[call], call + 2u);

  v1::GetClassRequest request;
  request.set_name("web");
  v1::GetClassResponse response;
  // On a connection that no kill has met.
  const auto last = v1::OutboundPolicy::NewStub(ImpatientChannel(Socket()));
  const grpc::Status status = Call(*last, &Policy::GetClass, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.revision(), kCalls + 1u);
  EXPECT_EQ(response.class_().http_ports(0), 1000u + kCalls - 1);
}

}  // namespace
}  // namespace sallyport
