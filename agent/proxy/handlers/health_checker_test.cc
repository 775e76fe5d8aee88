// The checker against an HTTP/2 server that does what it is told, over TCP.

#include "agent/proxy/handlers/health_checker.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/proxy/handlers/fake_peer.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;

class HealthCheckerTest : public testing::Test {
 protected:
  enum class Answers { kServing, kNotServing, kServiceUnknown, kUnimplemented, kGarbage, kNone };

  HealthCheckerTest() {
    Accept();
    checker_.OnPolicyChange(Policy("health_check { interval { nanos: 100000000 } }"));
  }
  ~HealthCheckerTest() override { acceptor_.close(); }

  std::string endpoint() const {
    return StrCat("grpc://127.0.0.1:", acceptor_.local_endpoint().port());
  }
  // One handler at the peer's endpoint.
  PolicySnapshot Policy(const std::string& fields) const {
    v1::Handler handler;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        StrCat("name: 'h' endpoints: '", endpoint(), "' ", fields), &handler));
    const absl::StatusOr<HandlerSpec> spec = HandlerSpec::FromProto(handler, 1);
    EXPECT_TRUE(spec.ok()) << spec.status();
    PolicySnapshot policy;
    policy.handlers["h"] = std::make_shared<const HandlerSpec>(*spec);
    return policy;
  }
  CheckedHealth& health() const { return stats_->Of("h", endpoint())->checked(); }

  // Answers what comes, and runs the loop until the condition holds; false if it never does.
  template <typename Condition>
  bool Until(Condition condition) {
    context_.restart();
    while (!condition()) {
      if (context_.run_one_for(std::chrono::seconds(20)) == 0) return false;
      for (const auto& peer : peers_) AnswerAll(*peer);
    }
    return true;
  }
  bool UntilItSays(const std::string& text) {
    return Until([&] { return health().text() == text; });
  }
  bool UntilAskedAgain() {
    const size_t before = questions_;
    return Until([&] { return questions_ > before; });
  }

  boost::asio::io_context context_{1};
  tcp::acceptor acceptor_{context_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::vector<std::shared_ptr<FakePeer>> peers_;
  std::set<std::pair<const FakePeer*, int32_t>> answered_;
  Answers answers_ = Answers::kServing;
  size_t questions_ = 0;
  FakePeer::Fields last_fields_;
  std::string last_bytes_;
  const std::unique_ptr<Resolver> resolver_ = *Resolver::Create(context_, {});
  const std::shared_ptr<HandlerStats> stats_ = std::make_shared<HandlerStats>();
  HandlerTlsSource tls_{nullptr};
  HealthChecker checker_{{&context_, resolver_.get(), nullptr}, &tls_, stats_};

 private:
  void Accept() {
    acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
      if (error) return;
      peers_.push_back(FakePeer::Start(
          context_, std::make_unique<TcpStream>(context_, UniqueFd(socket.release())), {}));
      Accept();
    });
  }

  void AnswerAll(FakePeer& peer) {
    for (const auto& [stream, seen] : peer.streams()) {
      if (!seen.ended || !answered_.emplace(&peer, stream).second) continue;
      ++questions_;
      last_fields_ = seen.fields;
      last_bytes_ = seen.bytes;
      Answer(peer, stream);
    }
  }

  void Answer(FakePeer& peer, int32_t stream) {
    const auto say = [&](std::string_view message) {
      peer.SendHeaders(stream);
      peer.SendBytes(stream, StrCat(std::string("\0\0\0\0", 4),
                                    std::string(1, static_cast<char>(message.size())), message));
      peer.SendTrailers(stream);
    };
    switch (answers_) {
      case Answers::kServing:
        return say("\x08\x01");
      case Answers::kNotServing:
        return say("\x08\x02");
      case Answers::kServiceUnknown:
        return say("\x08\x03");
      case Answers::kUnimplemented:
        return peer.SendHeaders(stream,
                                {{":status", "200"},
                                 {"content-type", "application/grpc"},
                                 {"grpc-status", "12"},
                                 {"grpc-message", "no such service"}},
                                true);
      case Answers::kGarbage:
        return say("\xff\xff");
      case Answers::kNone:
        return;
    }
  }
};

TEST_F(HealthCheckerTest, AsksAsGrpcDoes) {
  EXPECT_TRUE(health().may_be_called());
  EXPECT_EQ(health().text(), "unknown");
  ASSERT_TRUE(UntilItSays("serving"));
  EXPECT_THAT(last_fields_, testing::Contains(std::pair<std::string, std::string>(
                                ":path", "/grpc.health.v1.Health/Check")));
  EXPECT_EQ(last_bytes_, std::string(5, '\0')) << "the server as a whole";
  ASSERT_TRUE(UntilAskedAgain());
  EXPECT_EQ(peers_.size(), 1u) << "by the same connection";
}

TEST_F(HealthCheckerTest, GoesAndComesBack) {
  ASSERT_TRUE(UntilItSays("serving"));
  answers_ = Answers::kNotServing;
  ASSERT_TRUE(UntilItSays("not serving: it says so"));
  EXPECT_FALSE(health().may_be_called());
  answers_ = Answers::kServing;
  ASSERT_TRUE(UntilItSays("serving"));
  EXPECT_TRUE(health().may_be_called());
}

TEST_F(HealthCheckerTest, WhatIsNoServingIsNone) {
  ASSERT_TRUE(UntilItSays("serving"));
  const std::pair<Answers, const char*> cases[] = {
      {Answers::kUnimplemented,
       "not serving: the handler ended the call with UNIMPLEMENTED: no such service"},
      {Answers::kServiceUnknown, "not serving: it knows no service \"\""},
      {Answers::kGarbage, "not serving: its answer is not legal"},
  };
  for (const auto& [answers, text] : cases) {
    answers_ = answers;
    EXPECT_TRUE(UntilItSays(text)) << text << ", not " << health().text();
    EXPECT_FALSE(health().may_be_called()) << text;
  }
}

TEST_F(HealthCheckerTest, LateIsNotServing) {
  answers_ = Answers::kNone;
  checker_.OnPolicyChange(
      Policy("health_check { interval { seconds: 1 } timeout { nanos: 50000000 } }"));
  ASSERT_TRUE(UntilItSays("not serving: it did not answer in 50 ms"));
  EXPECT_FALSE(health().may_be_called());
  answers_ = Answers::kServing;
  EXPECT_TRUE(UntilItSays("serving")) << "by a new connection";
}

TEST_F(HealthCheckerTest, AConnectionThatBreaksIsMadeAnew) {
  ASSERT_TRUE(UntilItSays("serving"));
  peers_.front()->Close(Stream::How::kReset);
  ASSERT_TRUE(Until([&] { return peers_.size() == 2; }));
  ASSERT_TRUE(UntilAskedAgain());
  EXPECT_TRUE(UntilItSays("serving"));
}

TEST_F(HealthCheckerTest, NobodyThereIsNotServing) {
  const std::shared_ptr<EndpointStats> stats = stats_->Of("h", endpoint());
  ASSERT_TRUE(UntilItSays("serving"));
  acceptor_.close();
  peers_.front()->Close(Stream::How::kReset);
  ASSERT_TRUE(Until([&] { return !stats->checked().may_be_called(); }));
  EXPECT_THAT(stats->checked().text(), HasSubstr("not serving: "));
}

TEST_F(HealthCheckerTest, EndsWithTheHandlersWish) {
  answers_ = Answers::kNotServing;
  ASSERT_TRUE(UntilItSays("not serving: it says so"));
  checker_.OnPolicyChange(Policy("retries: 1 health_check { interval { nanos: 100000000 } }"));
  EXPECT_FALSE(health().may_be_called()) << "what is known stays";
  checker_.OnPolicyChange(Policy("health_check { service: 's' interval { nanos: 100000000 } }"));
  EXPECT_EQ(health().text(), "unknown") << "another question";
  ASSERT_TRUE(UntilItSays("not serving: it says so"));
  EXPECT_EQ(last_bytes_, std::string("\0\0\0\0\3\n\1s", 8));
  checker_.OnPolicyChange(Policy(""));
  EXPECT_EQ(health().text(), "");
  EXPECT_TRUE(health().may_be_called());
}

}  // namespace
}  // namespace sallyport::proxy
