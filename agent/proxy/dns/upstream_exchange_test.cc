#include "agent/proxy/dns/upstream_exchange.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

const IpAddress kLoopback = IpAddress::FromV4(0x7f000001);

// A resolver that sends what the test says.
class Peer {
 public:
  struct Received {
    uint16_t port = 0;  // The client's.
    DnsQuery query;
    enum class Transport { kUdp, kTcp } transport = Transport::kUdp;
  };
  // The messages with which to answer.
  using Answers = std::function<std::vector<std::string>(const Received& received)>;

  explicit Peer(Answers answers) : answers_(std::move(answers)) {
    sockaddr_storage address;
    socklen_t length = kLoopback.ToSockaddr(0, &address);
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    // TCP chooses: its ports are also those of whatever else connects on this host.
    EXPECT_EQ(::bind(tcp_.get(), plain, length), 0);
    EXPECT_EQ(::getsockname(tcp_.get(), plain, &length), 0);
    EXPECT_EQ(::bind(udp_.get(), plain, length), 0);
    EXPECT_EQ(::listen(tcp_.get(), 4), 0);
    port_ = ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Peer() { Stop(); }

  DnsServerAddress address() const { return {kLoopback, port_}; }
  // What came. Ends the resolver.
  const std::vector<Received>& Stop() {
    if (thread_.joinable()) {
      ::shutdown(stop_[0].get(), SHUT_RDWR);
      thread_.join();
    }
    return received_;
  }

 private:
  static std::array<UniqueFd, 2> Pair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }

  void Run() {
    while (true) {
      std::array<pollfd, 3> polled = {
          {{stop_[1].get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}}};
      ::poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) return;
      if (polled[1].revents != 0) ServeUdp();
      if (polled[2].revents != 0) ServeTcp();
    }
  }

  std::vector<std::string> Answer(std::string_view message, uint16_t port,
                                  Received::Transport transport) {
    received_.push_back({port, std::get<DnsQuery>(ParseDnsQuery(message)), transport});
    return answers_(received_.back());
  }

  void ServeUdp() {
    std::array<char, 2048> buffer;
    sockaddr_in client = {};
    socklen_t length = sizeof(client);
    auto* address = reinterpret_cast<sockaddr*>(&client);
    const ssize_t count =
        ::recvfrom(udp_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, address, &length);
    if (count < 0) return;
    for (const std::string& answer : Answer(std::string_view(buffer.data(), count),
                                            ntohs(client.sin_port), Received::Transport::kUdp)) {
      ::sendto(udp_.get(), answer.data(), answer.size(), 0, address, length);
    }
  }

  void ServeTcp() {
    const UniqueFd client(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 2048> buffer;
    size_t count = 0;
    while (count < 2 || count < 2u + ReadU16(std::string_view(buffer.data(), 2), 0)) {
      const ssize_t more = ::recv(client.get(), buffer.data() + count, buffer.size() - count, 0);
      if (more <= 0) return;
      count += more;
    }
    for (const std::string& answer :
         Answer(std::string_view(buffer.data() + 2, count - 2), 0, Received::Transport::kTcp)) {
      std::string framed;
      AppendU16(static_cast<uint16_t>(answer.size()), &framed);
      framed += answer;
      ::send(client.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
    }
  }

  const Answers answers_;
  const UniqueFd udp_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const UniqueFd tcp_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const std::array<UniqueFd, 2> stop_ = Pair();
  uint16_t port_ = 0;
  std::vector<Received> received_;  // Of the thread, until it has ended.
  std::thread thread_;
};

using Received = Peer::Received;

std::string Good(const DnsQuery& query) {
  return BuildDnsReply(query, DnsRcode::kNoError,
                       std::vector{DnsRecord::Address(*IpAddress::Parse("203.0.113.1"), 60)});
}
// An answer that nobody may believe.
std::string Forged(DnsQuery query, const std::function<void(DnsQuery&)>& change) {
  change(query);
  return BuildDnsReply(query, DnsRcode::kNoError,
                       std::vector{DnsRecord::Address(*IpAddress::Parse("198.51.100.66"), 60)});
}

class UpstreamExchangeTest : public testing::Test {
 protected:
  // The address that is answered, or the name of the error.
  std::string Ask(const Peer& peer, DnsExchange::Edns edns = DnsExchange::Edns::kOffered,
                  std::chrono::milliseconds time = std::chrono::seconds(20)) {
    const auto answer =
        RunTask(context_, ExchangeDns(&context_, sockets_,
                                      {.server = peer.address(),
                                       .name = *Host::Parse("a-rather-long-name.api.test"),
                                       .edns = edns,
                                       .deadline = std::chrono::steady_clock::now() + time}));
    if (!answer.ok()) return absl::StatusCodeToString(answer.status().code());
    const DnsAddresses found = answer->Addresses();
    return found.addresses.empty() ? "empty" : found.addresses.front().ToString();
  }

  boost::asio::io_context context_{1};
  const std::shared_ptr<ExchangeSockets> sockets_ = std::make_shared<ExchangeSockets>();
};

TEST_F(UpstreamExchangeTest, DN15_IdsPortsAndSpellingsAreRandom) {
  constexpr int kQuestions = 64;
  Peer peer([](const Received& received) { return std::vector{Good(received.query)}; });
  for (int i = 0; i < kQuestions; ++i) EXPECT_EQ(Ask(peer), "203.0.113.1");
  std::set<uint16_t> ids, ports;
  std::set<std::string> spellings;
  for (const Received& received : peer.Stop()) {
    ids.insert(received.query.id);
    ports.insert(received.port);
    spellings.insert(received.query.wire_name);
    EXPECT_EQ(received.query.host->text(), "a-rather-long-name.api.test");
    EXPECT_TRUE(received.query.recursion_desired);
  }
  // Two may be the same by chance.
  EXPECT_GT(ids.size(), kQuestions - 4u);
  EXPECT_GT(ports.size(), kQuestions - 4u);
  EXPECT_GT(spellings.size(), kQuestions - 4u);
}

TEST_F(UpstreamExchangeTest, DN15_WhatDoesNotMatchIsDropped) {
  Peer peer([](const Received& received) {
    const DnsQuery& query = received.query;
    std::string question = Good(query);
    question[2] &= 0x7f;
    return std::vector{
        std::string(),
        std::string("x"),
        question,
        Forged(query, [](DnsQuery& forged) { forged.id ^= 1; }),
        Forged(query, [](DnsQuery& forged) { forged.wire_name = EncodeDnsName("other.test"); }),
        Forged(query, [](DnsQuery& forged) { forged.type = DnsType::kAaaa; }),
        Good(query),
    };
  });
  EXPECT_EQ(Ask(peer), "203.0.113.1");
  EXPECT_EQ(peer.Stop().size(), 1u);
}

TEST_F(UpstreamExchangeTest, AServerThatDoesNotKeepTheSpellingIsMetOverTcp) {
  Peer peer([](const Received& received) {
    DnsQuery query = received.query;
    absl::AsciiStrToLower(&query.wire_name);
    return std::vector{Good(query)};
  });
  EXPECT_EQ(Ask(peer), "203.0.113.1");
  EXPECT_EQ(peer.Stop().back().transport, Received::Transport::kTcp);
}

TEST_F(UpstreamExchangeTest, AFloodOfMismatchesLeadsToTcp) {
  Peer peer([](const Received& received) {
    if (received.transport == Received::Transport::kTcp) return std::vector{Good(received.query)};
    return std::vector<std::string>(
        100, Forged(received.query, [](DnsQuery& forged) { forged.id ^= 1; }));
  });
  EXPECT_EQ(Ask(peer), "203.0.113.1");
}

TEST_F(UpstreamExchangeTest, TruncatedAnswersAreFetchedOverTcp) {
  Peer peer([](const Received& received) {
    if (received.transport == Received::Transport::kTcp) return std::vector{Good(received.query)};
    // Cut inside a record, as some servers do.
    std::string cut = BuildTruncatedDnsReply(received.query);
    WriteU16(1, 6, &cut);
    return std::vector{cut};
  });
  EXPECT_EQ(Ask(peer), "203.0.113.1");
}

TEST_F(UpstreamExchangeTest, TellsRefusalsApart) {
  struct {
    DnsRcode code;
    const char* status;
  } const cases[] = {
      {DnsRcode::kServFail, "FAILED_PRECONDITION"},
      {DnsRcode::kRefused, "FAILED_PRECONDITION"},
      {DnsRcode::kFormErr, "INVALID_ARGUMENT"},
      {DnsRcode::kNotImp, "INVALID_ARGUMENT"},
  };
  for (const auto& test : cases) {
    const DnsRcode code = test.code;
    const Peer whole([code](const Received& received) {
      return std::vector{BuildDnsReply(received.query, code)};
    });
    EXPECT_EQ(Ask(whole), test.status);
    const Peer without_question([code](const Received& received) {
      std::string header = BuildDnsReply(received.query, code).substr(0, kDnsHeaderBytes);
      WriteU16(0, 4, &header);
      WriteU16(0, 10, &header);
      return std::vector{header};
    });
    EXPECT_EQ(Ask(without_question), test.status);
  }
}

TEST_F(UpstreamExchangeTest, OffersEdnsIfItShall) {
  Peer peer([](const Received& received) { return std::vector{Good(received.query)}; });
  Ask(peer, DnsExchange::Edns::kOffered);
  Ask(peer, DnsExchange::Edns::kNone);
  const std::vector<Received>& received = peer.Stop();
  EXPECT_TRUE(received[0].query.edns);
  EXPECT_EQ(received[0].query.max_reply_bytes, kOurEdnsBytes);
  EXPECT_FALSE(received[1].query.edns);
}

TEST_F(UpstreamExchangeTest, SilenceEndsAtTheDeadline) {
  const Peer peer([](const Received&) { return std::vector<std::string>(); });
  EXPECT_EQ(Ask(peer, DnsExchange::Edns::kOffered, std::chrono::milliseconds(50)),
            "DEADLINE_EXCEEDED");
}

TEST_F(UpstreamExchangeTest, AfterTheCloseNothingIsAsked) {
  const Peer peer([](const Received& received) { return std::vector{Good(received.query)}; });
  sockets_->CloseAll();
  EXPECT_EQ(Ask(peer), "UNAVAILABLE");
}

}  // namespace
}  // namespace sallyport::proxy
