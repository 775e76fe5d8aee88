#include "agent/proxy/dns/server.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/dns/message.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "agent/proxy/testing/run.h"
#include "tests/fakes/fake_dns.h"

namespace sallyport::proxy {
namespace {

using fakes::DnsZone;
using fakes::FakeDns;
using namespace std::string_literals;  // NOLINT: strings with NUL bytes.

UniqueFd UdpSocket(const IpAddress& address, sockaddr_storage* bound, socklen_t* length) {
  UniqueFd socket(
      ::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  *length = address.ToSockaddr(0, bound);
  auto* sockaddress = reinterpret_cast<sockaddr*>(bound);
  EXPECT_EQ(::bind(socket.get(), sockaddress, *length), 0);
  EXPECT_EQ(::getsockname(socket.get(), sockaddress, length), 0);
  return socket;
}

Task<void> ServeAndNote(DnsServer* server, bool* ended) {
  co_await server->Serve();
  *ended = true;
}

class DnsServerTest : public testing::Test {
 protected:
  // A container of this policy, and a resolver that knows this zone.
  void Given(const std::string& class_text, std::string_view zone,
             const std::string& listen = "127.0.0.1", size_t max_in_flight = 256) {
    SetPolicy(class_text);
    upstream_ = *FakeDns::Start("127.0.0.1:0", *DnsZone::Parse(zone));
    resolver_ = *Resolver::Create(context_, {upstream_->address()},
                                  {.budget = std::chrono::milliseconds(400)});
    sockaddr_storage address;
    socklen_t length;
    UniqueFd socket = UdpSocket(*IpAddress::Parse(listen), &address, &length);
    sockaddr_storage client_address;
    socklen_t client_length;
    client_ = UdpSocket(*IpAddress::Parse(listen), &client_address, &client_length);
    ASSERT_EQ(::connect(client_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    server_ =
        DnsServer::Create(context_, std::move(socket),
                          {.container_id = "box",
                           .policy = [this] { return policy_; },
                           .resolver = resolver_.get(),
                           .dns = dns_,
                           .open_ranges = &open_ranges_,
                           .on_refused =
                               [this](std::string_view name, std::string_view reason) {
                                 refused_.push_back(std::string(name) + ": " + std::string(reason));
                               },
                           .max_in_flight = max_in_flight});
    Spawn(context_, ServeAndNote(server_.get(), &ended_));
  }

  void SetPolicy(const std::string& class_text) {
    v1::ContainerClass container_class;
    v1::ContainerPolicy container;
    ASSERT_TRUE(
        google::protobuf::TextFormat::ParseFromString("name: 'c' " + class_text, &container_class));
    container.set_container_id("box");
    container.set_class_name("c");
    policy_ = std::make_shared<EffectivePolicy>(
        *EffectivePolicy::FromProto(container_class, container, 1));
  }

  static std::string Question(uint16_t id, std::string_view name, DnsType type) {
    std::string message = "\0\0\x01\0\0\x01\0\0\0\0\0\0"s + EncodeDnsName(name);
    WriteU16(id, 0, &message);
    AppendU16(static_cast<uint16_t>(type), &message);
    AppendU16(1, &message);
    return message;
  }
  void Send(const std::string& message) {
    ASSERT_EQ(::send(client_.get(), message.data(), message.size(), 0),
              static_cast<ssize_t>(message.size()));
  }
  // The next reply, or "" if none comes for long.
  std::string Receive() {
    std::array<char, 65536> buffer;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (std::chrono::steady_clock::now() < give_up) {
      const ssize_t received = ::recv(client_.get(), buffer.data(), buffer.size(), 0);
      if (received >= 0) return std::string(buffer.data(), received);
      context_.run_one_for(std::chrono::milliseconds(10));
      if (context_.stopped()) context_.restart();
    }
    return "";
  }
  // "7 NOERROR 1": id, code and how many records.
  std::string Ask(const std::string& message) {
    Send(message);
    return Text(Receive());
  }
  static std::string Text(const std::string& reply) {
    if (reply.size() < kDnsHeaderBytes) return "no reply";
    static constexpr const char* kCodes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                             "NXDOMAIN", "NOTIMP",  "REFUSED"};
    return std::to_string(ReadU16(reply, 0)) + " " + kCodes[ReadU16(reply, 2) & 15] + " " +
           std::to_string(ReadU16(reply, 6));
  }

  boost::asio::io_context context_{1};
  std::shared_ptr<const EffectivePolicy> policy_;
  const OpenRanges open_ranges_;
  std::shared_ptr<ContainerDns> dns_ = std::make_shared<ContainerDns>(DnsLimits());
  std::vector<std::string> refused_;
  std::unique_ptr<FakeDns> upstream_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<DnsServer> server_;
  UniqueFd client_;
  bool ended_ = false;
};

TEST_F(DnsServerTest, Resolves) {
  Given("", "api.test A 203.0.113.1\napi.test TXT hello\n");
  EXPECT_EQ(Ask(Question(7, "api.test", DnsType::kA)), "7 NOERROR 1");
  EXPECT_EQ(Ask(Question(8, "API.Test", DnsType::kAaaa)), "8 NOERROR 0");
  EXPECT_EQ(Ask(Question(9, "api.test", DnsType::kTxt)), "9 NOERROR 1");
  EXPECT_EQ(Ask(Question(10, "none.test", DnsType::kA)), "10 NXDOMAIN 0");
  EXPECT_EQ(dns_->names.NameOf(*IpAddress::Parse("203.0.113.1"))->text(), "api.test");
  EXPECT_TRUE(refused_.empty());
}

TEST_F(DnsServerTest, ServesIpv6) {
  Given("", "api.test A 203.0.113.1\n", "::1");
  EXPECT_EQ(Ask(Question(7, "api.test", DnsType::kA)), "7 NOERROR 1");
}

TEST_F(DnsServerTest, AsksNobodyForWhatIsRefused) {
  Given("allowed_hosts { hosts: 'api.test' }", "* A 203.0.113.1\n* TXT exfiltrated\n");
  EXPECT_EQ(Ask(Question(1, "secret.evil.test", DnsType::kA)), "1 NXDOMAIN 0");
  EXPECT_EQ(Ask(Question(2, "secret.evil.test", DnsType::kTxt)), "2 NXDOMAIN 0");
  EXPECT_EQ(Ask(Question(3, "api.test", DnsType::kHttps)), "3 NOERROR 0");
  EXPECT_EQ(Ask(Question(4, "api.test", DnsType::kAny)), "4 NOTIMP 0");
  EXPECT_TRUE(upstream_->queries().empty());
  EXPECT_EQ(refused_,
            (std::vector<std::string>{"secret.evil.test: not_allowed",
                                      "secret.evil.test: not_allowed", "api.test: not_supported"}));
}

TEST_F(DnsServerTest, GivesPlaceholdersWithoutInternet) {
  Given("enable_internet: false allowed_hosts { hosts: 'api.test' }", "* A 203.0.113.1\n");
  EXPECT_EQ(Ask(Question(1, "api.test", DnsType::kA)), "1 NOERROR 1");
  EXPECT_EQ(dns_->names.NameOf(*IpAddress::Parse("198.18.0.1"))->text(), "api.test");
  EXPECT_TRUE(upstream_->queries().empty());
}

TEST_F(DnsServerTest, ANewPolicyHoldsForTheNextQuery) {
  Given("", "* A 203.0.113.1\n");
  EXPECT_EQ(Ask(Question(1, "api.test", DnsType::kA)), "1 NOERROR 1");
  SetPolicy("denied_hosts { hosts: 'api.test' }");
  EXPECT_EQ(Ask(Question(2, "api.test", DnsType::kA)), "2 NXDOMAIN 0");
  policy_ = nullptr;
  EXPECT_EQ(Ask(Question(3, "api.test", DnsType::kA)), "3 REFUSED 0");
}

TEST_F(DnsServerTest, AnswersBadQueriesAndDropsAnswers) {
  Given("", "");
  std::string answer = Question(1, "api.test", DnsType::kA);
  answer[2] = '\x81';
  Send("");
  Send("short");
  Send(answer);
  EXPECT_EQ(Ask(Question(2, "api.test", DnsType::kA) + "x"), "2 FORMERR 0");
  EXPECT_EQ(Ask(Question(3, "api.test", DnsType::kA) + std::string(60'000, 'x')), "3 FORMERR 0");
  EXPECT_EQ(refused_, (std::vector<std::string>(5, ": malformed")));
  EXPECT_TRUE(upstream_->queries().empty());
}

TEST_F(DnsServerTest, SilentResolversMakeServfail) {
  Given("", "* DROP");
  EXPECT_EQ(Ask(Question(1, "api.test", DnsType::kA)), "1 SERVFAIL 0");
}

TEST_F(DnsServerTest, SlowNamesDoNotHoldUpOthers) {
  Given("", "slow.test DROP\napi.test A 203.0.113.1\n");
  Send(Question(1, "slow.test", DnsType::kA));
  EXPECT_EQ(Ask(Question(2, "api.test", DnsType::kA)), "2 NOERROR 1");
  EXPECT_EQ(Text(Receive()), "1 SERVFAIL 0");
}

TEST_F(DnsServerTest, LimitsWhatIsUnderWay) {
  Given("", "* DROP", "127.0.0.1", 2);
  for (const char* name : {"a.test", "b.test", "c.test"}) Send(Question(1, name, DnsType::kA));
  EXPECT_EQ(Ask(Question(2, "d.test", DnsType::kA)), "1 SERVFAIL 0");
  EXPECT_EQ(refused_, (std::vector<std::string>{"c.test: overloaded", "d.test: overloaded"}));
}

TEST_F(DnsServerTest, OverItsBudgetEverythingIsRefused) {
  std::vector<DnsLimit> exceeded;
  dns_ = std::make_shared<ContainerDns>(DnsLimits{.queries_per_second = 0, .queries_at_once = 2},
                                        [&exceeded](DnsLimit limit) { exceeded.push_back(limit); });
  Given("allowed_hosts {}", "");
  EXPECT_EQ(Ask(Question(1, "api.test", DnsType::kA)), "1 NXDOMAIN 0");
  EXPECT_EQ(Ask(Question(2, "api.test", DnsType::kA) + "x"), "2 FORMERR 0");
  EXPECT_EQ(Ask(Question(3, "api.test", DnsType::kA)), "3 REFUSED 0");
  // What is no query is dropped.
  Send(Question(4, "api.test", DnsType::kA) + "x");
  EXPECT_EQ(Ask(Question(5, "api.test", DnsType::kA)), "5 REFUSED 0");
  EXPECT_EQ(refused_, (std::vector<std::string>{"api.test: not_allowed", ": malformed",
                                                "api.test: overloaded", ": malformed",
                                                "api.test: overloaded"}));
  EXPECT_EQ(exceeded, std::vector(3, DnsLimit::kQueries));
}

TEST_F(DnsServerTest, AnswersABurst) {
  Given("", "* A 203.0.113.1\n");
  std::vector<std::string> expected, replies;
  for (int i = 0; i < 150; ++i) {
    Send(Question(i, "n" + std::to_string(i) + ".test", DnsType::kA));
    expected.push_back(std::to_string(i) + " NOERROR 1");
  }
  for (int i = 0; i < 150; ++i) replies.push_back(Text(Receive()));
  std::sort(expected.begin(), expected.end());
  std::sort(replies.begin(), replies.end());
  EXPECT_EQ(replies, expected);
}

TEST_F(DnsServerTest, AnswersThatAreTooLongAreTruncated) {
  std::string zone;
  for (int i = 0; i < 4; ++i) zone += "api.test TXT " + std::string(250, 'a' + i) + "\n";
  Given("", zone);
  Send(Question(1, "api.test", DnsType::kTxt));
  const std::string reply = Receive();
  EXPECT_EQ(Text(reply), "1 NOERROR 0");
  EXPECT_NE(ReadU16(reply, 2) & 0x0200, 0);
  EXPECT_LE(reply.size(), 512u);
}

TEST_F(DnsServerTest, EndsAfterTheLastQuery) {
  Given("", "* DROP");
  Send(Question(1, "api.test", DnsType::kA));
  while (upstream_->queries().empty()) context_.run_one_for(std::chrono::milliseconds(10));
  server_->Stop();
  EXPECT_FALSE(ended_);
  context_.restart();
  context_.run();
  EXPECT_TRUE(ended_);
  server_.reset();
}

TEST_F(DnsServerTest, DrainedItAnswersWhatItHasTakenAndTakesNoMore) {
  Given("", "* DROP");
  Send(Question(1, "api.test", DnsType::kA));
  while (upstream_->queries().empty()) context_.run_one_for(std::chrono::milliseconds(10));
  server_->Drain();
  Send(Question(2, "other.test", DnsType::kA));
  EXPECT_EQ(Text(Receive()), "1 SERVFAIL 0");
  context_.restart();
  context_.run();
  EXPECT_TRUE(ended_);
  char byte;
  EXPECT_LT(::recv(client_.get(), &byte, 1, MSG_DONTWAIT), 0);
  server_.reset();
}

TEST_F(DnsServerTest, MayBeStoppedAtOnce) {
  Given("", "");
  server_->Stop();
  context_.run();
  EXPECT_TRUE(ended_);
}

}  // namespace
}  // namespace sallyport::proxy
