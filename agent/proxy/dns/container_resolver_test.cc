#include "agent/proxy/dns/container_resolver.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/testing/run.h"
#include "tests/fakes/fake_dns.h"

namespace sallyport::proxy {
namespace {

using fakes::DnsZone;
using fakes::FakeDns;

class ContainerResolverTest : public testing::Test {
 protected:
  void Given(std::string_view zone, const DnsLimits& limits = {}) {
    server_ = *FakeDns::Start("127.0.0.1:0", *DnsZone::Parse(zone));
    upstream_ = *Resolver::Create(context_, {server_->address()},
                                  {.budget = std::chrono::milliseconds(400)});
    dns_ = std::make_shared<ContainerDns>(limits,
                                          [this](DnsLimit limit) { exceeded_.push_back(limit); });
    resolver_ = std::make_unique<ContainerResolver>(context_, upstream_.get(), dns_);
  }
  // What became of each, when `names` are asked for at once: "OK", or the name of the error.
  std::vector<std::string> AskAtOnce(const std::vector<std::string>& names) {
    std::vector<std::string> outcomes(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      Spawn(context_, resolver_->Query(*Host::Parse(names[i]), DnsType::kA),
            [&outcomes, i](auto answer) {
              outcomes[i] = absl::StatusCodeToString(answer.status().code());
            });
    }
    context_.restart();
    context_.run();
    return outcomes;
  }
  std::string Ask(const std::string& name) { return AskAtOnce({name}).front(); }

  boost::asio::io_context context_{1};
  std::unique_ptr<FakeDns> server_;
  std::unique_ptr<Resolver> upstream_;
  std::shared_ptr<ContainerDns> dns_;
  std::vector<DnsLimit> exceeded_;
  std::unique_ptr<ContainerResolver> resolver_;
};

TEST_F(ContainerResolverTest, AsksOnceForWhatItMayKeep) {
  Given("a.test A 203.0.113.1\nb.test 0 A 203.0.113.1\n");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ask("a.test"), "OK");
    EXPECT_EQ(Ask("b.test"), "OK");
  }
  EXPECT_EQ(server_->queries(), (std::vector<std::string>{"a.test A udp", "b.test A udp",
                                                          "b.test A udp", "b.test A udp"}));
}

TEST_F(ContainerResolverTest, ResolvesFromWhatWasLookedUp) {
  Given("a.test A 203.0.113.1\na.test AAAA 2001:db8::1\n");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(RunTask(context_, resolver_->Resolve(*Host::Parse("a.test")))->size(), 2u);
  }
  EXPECT_EQ(server_->queries().size(), 2u);
}

TEST_F(ContainerResolverTest, KeepsNegativeAnswersWithSoa) {
  Given("* SOA 30\na.test A 203.0.113.1\n");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(RunTask(context_, resolver_->Resolve(*Host::Parse("a.test")))->size(), 1u);
    EXPECT_FALSE(RunTask(context_, resolver_->Resolve(*Host::Parse("none.test"))).ok());
  }
  EXPECT_EQ(server_->queries().size(), 4u);
}

TEST_F(ContainerResolverTest, WhatFailedIsNotAskedAgainAtOnce) {
  Given("a.test REFUSED");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ask("a.test"), "UNAVAILABLE");
    EXPECT_EQ(RunTask(context_, resolver_->Resolve(*Host::Parse("a.test"))).status().code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(server_->queries(), (std::vector<std::string>{"a.test A udp", "a.test AAAA udp"}));
}

TEST_F(ContainerResolverTest, ManyEqualQuestionsAtOnceAreOne) {
  Given("a.test 0 A 203.0.113.1\nb.test DROP\n");
  EXPECT_EQ(AskAtOnce(std::vector<std::string>(100, "a.test")),
            std::vector<std::string>(100, "OK"));
  EXPECT_EQ(server_->queries().size(), 1u);
  EXPECT_EQ(AskAtOnce(std::vector<std::string>(100, "b.test")),
            std::vector<std::string>(100, "DEADLINE_EXCEEDED"));
  EXPECT_LE(server_->queries().size(), 3u);
}

TEST_F(ContainerResolverTest, LimitsWhatIsUnderWay) {
  Given("* DROP", {.max_upstream_under_way = 2});
  EXPECT_EQ(AskAtOnce({"a.test", "b.test", "a.test", "c.test"}),
            (std::vector<std::string>{"DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED",
                                      "RESOURCE_EXHAUSTED"}));
  EXPECT_EQ(exceeded_, std::vector{DnsLimit::kUpstreamUnderWay});
}

TEST_F(ContainerResolverTest, WhatIsKeptCostsNoBudget) {
  Given("* A 203.0.113.1", {.upstream_per_second = 0, .upstream_at_once = 2});
  EXPECT_EQ(Ask("a.test"), "OK");
  EXPECT_EQ(Ask("b.test"), "OK");
  EXPECT_EQ(Ask("c.test"), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(Ask("a.test"), "OK");
  EXPECT_EQ(exceeded_, std::vector{DnsLimit::kUpstream});
}

TEST_F(ContainerResolverTest, RefusesTunnels) {
  Given("* A 203.0.113.1", {.name_bytes_per_second = 0, .name_bytes_at_once = 10});
  EXPECT_EQ(Ask("12345678.evil.test"), "OK");
  EXPECT_EQ(Ask("87654321.evil.test"), "PERMISSION_DENIED");
  EXPECT_EQ(Ask("12345678.good.test"), "OK");
  EXPECT_EQ(exceeded_, std::vector{DnsLimit::kNameBytes});
}

TEST_F(ContainerResolverTest, QuestionsUnderWayMayOutliveIt) {
  Given("a.test DROP");
  std::string outcome;
  Spawn(context_, resolver_->Query(*Host::Parse("a.test"), DnsType::kA),
        [&outcome](auto answer) { outcome = absl::StatusCodeToString(answer.status().code()); });
  context_.poll();
  resolver_.reset();
  context_.restart();
  context_.run();
  EXPECT_EQ(outcome, "DEADLINE_EXCEEDED");
}

}  // namespace
}  // namespace sallyport::proxy
