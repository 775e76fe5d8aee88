#include "agent/proxy/dns/resolver.h"

#include <gtest/gtest.h>

#include <algorithm>
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
using std::chrono::milliseconds;

std::unique_ptr<FakeDns> Serve(std::string_view zone) {
  return *FakeDns::Start("127.0.0.1:0", *DnsZone::Parse(zone));
}

class ResolverTest : public testing::Test {
 protected:
  void Use(const std::vector<std::string>& servers, milliseconds budget = milliseconds(5000)) {
    resolver_ = *Resolver::Create(context_, servers, {.budget = budget});
  }
  // Addresses in order, or the name of the error.
  std::string Resolve(const std::string& name) {
    const auto found = RunTask(context_, resolver_->Resolve(*Host::Parse(name)));
    if (!found.ok()) return absl::StatusCodeToString(found.status().code());
    std::string text;
    for (const IpAddress& address : *found) text += (text.empty() ? "" : " ") + address.ToString();
    return text;
  }
  // "NOERROR", "NOERROR with records", "NXDOMAIN"; or the name of the error.
  std::string Query(const std::string& name, DnsType type) {
    const auto answer = RunTask(context_, resolver_->Query(*Host::Parse(name), type));
    if (!answer.ok()) return absl::StatusCodeToString(answer.status().code());
    return std::string(answer->rcode() == DnsRcode::kNoError ? "NOERROR" : "NXDOMAIN") +
           (answer->has_records() ? " with records" : "");
  }

  boost::asio::io_context context_{1};
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, ResolvesBothFamilies) {
  const auto dns = Serve("a.test A 203.0.113.1\na.test A 203.0.113.2\na.test AAAA ::1\n");
  Use({dns->address()});
  EXPECT_EQ(Resolve("a.test"), "::1 203.0.113.1 203.0.113.2");
}

TEST_F(ResolverTest, ResolvesOneFamily) {
  const auto dns = Serve("four.test A 203.0.113.1\nsix.test AAAA 2001:db8::1\n");
  Use({dns->address()});
  EXPECT_EQ(Resolve("four.test"), "203.0.113.1");
  EXPECT_EQ(Resolve("six.test"), "2001:db8::1");
}

TEST_F(ResolverTest, FollowsAliases) {
  const auto dns = Serve("www.test CNAME a.test\na.test A 203.0.113.1\n");
  Use({dns->address()});
  EXPECT_EQ(Resolve("www.test"), "203.0.113.1");
}

TEST_F(ResolverTest, LiteralAddressesAndLocalhostNeedNobody) {
  const auto dns = Serve("* A 203.0.113.1");
  Use({dns->address()});
  EXPECT_EQ(Resolve("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(Resolve("[2001:db8::1]"), "2001:db8::1");
  EXPECT_EQ(Resolve("localhost"), "127.0.0.1 ::1");
  EXPECT_EQ(Resolve("x.localhost"), "127.0.0.1 ::1");
  EXPECT_TRUE(dns->queries().empty());
}

TEST_F(ResolverTest, ReadsNoHostsFileAndNoSearchDomains) {
  const auto dns = Serve("");
  Use({dns->address()});
  for (const std::string name : {"ip6-localhost", "host.docker.internal", "single"}) {
    const size_t before = dns->queries().size();
    EXPECT_EQ(Resolve(name), "NOT_FOUND");
    const std::vector<std::string> queries = dns->queries();
    ASSERT_EQ(queries.size(), before + 2);
    for (size_t i = before; i < queries.size(); ++i) {
      EXPECT_TRUE(queries[i].starts_with(name + " A")) << queries[i];
    }
  }
}

TEST_F(ResolverTest, SaysWhatDoesNotExist) {
  const auto dns = Serve("text.test TXT hello\n");
  Use({dns->address()});
  EXPECT_EQ(Resolve("none.test"), "NOT_FOUND");
  EXPECT_EQ(Resolve("text.test"), "NOT_FOUND");
  EXPECT_EQ(Query("none.test", DnsType::kA), "NXDOMAIN");
  EXPECT_EQ(Query("text.test", DnsType::kA), "NOERROR");
  EXPECT_EQ(Query("text.test", DnsType::kTxt), "NOERROR with records");
}

TEST_F(ResolverTest, SilenceIsAnErrorInTime) {
  const auto dns = Serve("* DROP");
  Use({dns->address()}, milliseconds(300));
  EXPECT_EQ(Resolve("a.test"), "DEADLINE_EXCEEDED");
  EXPECT_EQ(Query("a.test", DnsType::kTxt), "DEADLINE_EXCEEDED");
}

TEST_F(ResolverTest, OneSilentFamilyDoesNotHoldUpTheOther) {
  const auto dns = Serve(
      "a.test A 203.0.113.1\na.test DROP AAAA\nb.test AAAA 2001:db8::1\nb.test DROP A\n"
      "c.test DROP A\n");
  Use({dns->address()}, std::chrono::hours(1));
  EXPECT_EQ(Resolve("a.test"), "203.0.113.1");
  EXPECT_EQ(Resolve("b.test"), "2001:db8::1");
  // Not "no address": that is not known.
  Use({dns->address()}, milliseconds(300));
  EXPECT_EQ(Resolve("c.test"), "DEADLINE_EXCEEDED");
}

TEST_F(ResolverTest, AsksTheNextServer) {
  const auto good = Serve("* A 203.0.113.1");
  for (const char* zone : {"* DROP", "* SERVFAIL", "* REFUSED"}) {
    const auto bad = Serve(zone);
    Use({bad->address(), good->address()}, milliseconds(2000));
    EXPECT_EQ(Query("a.test", DnsType::kA), "NOERROR with records") << zone;
    EXPECT_FALSE(bad->queries().empty()) << zone;
  }
}

TEST_F(ResolverTest, SkipsAServerThatWasSilentTwice) {
  const auto dead = Serve("* DROP");
  const auto good = Serve("* A 203.0.113.1");
  Use({dead->address(), good->address()}, milliseconds(600));
  for (const char* name : {"a.test", "b.test", "c.test", "d.test"}) {
    EXPECT_EQ(Query(name, DnsType::kA), "NOERROR with records");
  }
  EXPECT_EQ(dead->queries(), (std::vector<std::string>{"a.test A udp", "b.test A udp"}));
}

TEST_F(ResolverTest, AServerThatFailsIsAskedOnceAQuestion) {
  const auto bad = Serve("* SERVFAIL");
  Use({bad->address()});
  EXPECT_EQ(Query("a.test", DnsType::kA), "UNAVAILABLE");
  EXPECT_EQ(bad->queries(), std::vector<std::string>{"a.test A udp"});
}

TEST_F(ResolverTest, AsksTheNextServerIfNobodyListens) {
  std::string closed = Serve("")->address();
  const auto good = Serve("* A 203.0.113.1");
  Use({closed, good->address()});
  EXPECT_EQ(Query("a.test", DnsType::kA), "NOERROR with records");
  Use({closed});
  EXPECT_EQ(Query("a.test", DnsType::kA), "UNAVAILABLE");
}

TEST_F(ResolverTest, FailuresOfEveryServerAreNoAnswer) {
  const auto dns = Serve("* SERVFAIL");
  Use({dns->address()});
  EXPECT_EQ(Resolve("a.test"), "UNAVAILABLE");
}

TEST_F(ResolverTest, TakesNoAnswerToAnotherQuestion) {
  const auto dns = Serve("* A 203.0.113.1\n* OTHER\n");
  Use({dns->address()}, milliseconds(300));
  EXPECT_EQ(Resolve("a.test"), "DEADLINE_EXCEEDED");
}

TEST_F(ResolverTest, TruncatedAnswersAreFetchedOverTcp) {
  const auto dns = Serve("a.test TRUNCATE\na.test A 203.0.113.1\n");
  Use({dns->address()});
  EXPECT_EQ(Query("a.test", DnsType::kA), "NOERROR with records");
  EXPECT_EQ(dns->queries(), (std::vector<std::string>{"a.test A udp", "a.test A tcp"}));
}

TEST_F(ResolverTest, AnswersManyAtOnce) {
  const auto dns = Serve("* A 203.0.113.1");
  Use({dns->address()});
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    Spawn(context_, resolver_->Resolve(*Host::Parse("n" + std::to_string(i))),
          [&answered](auto found) { answered += found.ok(); });
  }
  context_.run();
  EXPECT_EQ(answered, 100);
}

TEST_F(ResolverTest, WithoutServersNothingIsKnown) {
  Use({});
  EXPECT_EQ(Resolve("a.test"), "UNAVAILABLE");
  EXPECT_EQ(Query("a.test", DnsType::kA), "UNAVAILABLE");
  EXPECT_EQ(Resolve("192.0.2.1"), "192.0.2.1");
}

TEST_F(ResolverTest, EndsWhatIsUnderWayWhenItGoes) {
  const auto dns = Serve("* DROP");
  Use({dns->address()});
  absl::Status status = absl::OkStatus();
  Spawn(context_, resolver_->Query(*Host::Parse("a.test"), DnsType::kA),
        [&status](auto answer) { status = answer.status(); });
  context_.poll();
  resolver_.reset();
  context_.run();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(ResolverTest, TheLoopMayEndBeforeTheAnswer) {
  const auto dns = Serve("* DROP");
  boost::asio::io_context context{1};
  const auto resolver = *Resolver::Create(context, {dns->address()});
  Spawn(context, [](Resolver* asked) -> Task<void> {
    const auto ignored = co_await asked->Resolve(*Host::Parse("a.test"));
    static_cast<void>(ignored);
  }(resolver.get()));
  context.poll();
}

TEST_F(ResolverTest, RefusesServersThatAreNoAddresses) {
  for (const std::string server : {"dns.test", "192.0.2.1:0", "192.0.2.1:x", "", "[::1", "1.2.3"}) {
    EXPECT_EQ(Resolver::Create(context_, {server}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << server;
  }
  EXPECT_TRUE(Resolver::Create(context_, {"192.0.2.1", "::1", "[::1]:5353", "192.0.2.1:53"}).ok());
}

}  // namespace
}  // namespace sallyport::proxy
