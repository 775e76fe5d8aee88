#include "agent/proxy/dns/answer.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/dns/upstream_answer.h"

namespace sallyport::proxy {
namespace {

using namespace std::string_literals;  // NOLINT: strings with NUL bytes.

EffectivePolicy Policy(const std::string& class_text) {
  v1::ContainerClass container_class;
  v1::ContainerPolicy container;
  EXPECT_TRUE(
      google::protobuf::TextFormat::ParseFromString("name: 'c' " + class_text, &container_class));
  container.set_container_id("box");
  container.set_class_name("c");
  return *EffectivePolicy::FromProto(container_class, container, 1);
}

constexpr char kHandlerRule[] = "outbound_by_host { host: 'api.test' handler { handler: 'h' } } ";

DnsQuery Question(const std::string& name, DnsType type) {
  return DnsQuery{.wire_name = EncodeDnsName(name), .host = *Host::Parse(name), .type = type};
}

// "NOERROR 203.0.113.1@60", "NXDOMAIN (denied_host)", "NOERROR keep 60"; other records as "+".
std::string Text(const DnsReply& reply) {
  static constexpr const char* kCodes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                           "NXDOMAIN", "NOTIMP",  "REFUSED"};
  std::string text = kCodes[ReadU16(reply.message, 2) & 15];
  size_t offset = kDnsHeaderBytes;
  EXPECT_TRUE(ReadDnsName(reply.message, &offset).ok());
  offset += 4;
  for (int i = 0; i < ReadU16(reply.message, 6); ++i) {
    EXPECT_TRUE(ReadDnsName(reply.message, &offset).ok());
    const auto type = static_cast<DnsType>(ReadU16(reply.message, offset));
    const uint32_t ttl = ReadU32(reply.message, offset + 4);
    const std::string data = reply.message.substr(offset + 10, ReadU16(reply.message, offset + 8));
    offset += 10 + data.size();
    if (type == DnsType::kA || type == DnsType::kAaaa) {
      std::array<uint8_t, 4> v4;
      std::array<uint8_t, 16> v6;
      std::copy_n(data.begin(), data.size(), type == DnsType::kA ? v4.begin() : v6.begin());
      const IpAddress address =
          type == DnsType::kA ? IpAddress::FromV4Bytes(v4) : IpAddress::FromV6Bytes(v6);
      text += " " + address.ToString() + "@" + std::to_string(ttl);
    } else {
      text += " +";
    }
  }
  if (ReadU16(reply.message, 8) == 1) {
    // The SOA record that says how long a negative answer may be kept.
    EXPECT_TRUE(ReadDnsName(reply.message, &offset).ok());
    EXPECT_EQ(ReadU16(reply.message, offset), static_cast<uint16_t>(DnsType::kSoa));
    text += " keep " + std::to_string(ReadU32(reply.message, offset + 4));
  }
  if (!reply.refused.empty()) text += " (" + std::string(reply.refused) + ")";
  if (!reply.would_deny.empty()) text += " (would deny: " + std::string(reply.would_deny) + ")";
  return text;
}

std::string Locally(const EffectivePolicy& policy, const DnsQuery& query) {
  DnsNames names;
  const auto reply = DnsReplyWithoutUpstream(query, &policy, names);
  if (const AskUpstream* ask = std::get_if<AskUpstream>(&reply)) {
    return ask->would_deny.empty() ? "ASK"
                                   : "ASK (would deny: " + std::string(ask->would_deny) + ")";
  }
  return Text(std::get<DnsReply>(reply));
}

TEST(DnsReplyWithoutUpstreamTest, FollowsThePolicy) {
  const EffectivePolicy open = Policy("");
  const EffectivePolicy closed = Policy("enable_internet: false");
  const EffectivePolicy handled = Policy("enable_internet: false " + std::string(kHandlerRule));
  const EffectivePolicy allowed = Policy("allowed_hosts { hosts: '*.test' }");
  const EffectivePolicy allowed_closed =
      Policy("enable_internet: false allowed_hosts { hosts: 'api.test' }");
  const EffectivePolicy denied = Policy("denied_hosts { hosts: 'api.test' }");
  struct {
    const EffectivePolicy& policy;
    const char* name;
    DnsType type;
    const char* reply;
  } const cases[] = {
      {open, "api.test", DnsType::kA, "ASK"},
      {open, "api.test", DnsType::kTxt, "ASK"},
      {open, "api.test", static_cast<DnsType>(257), "ASK"},
      {open, "1.113.0.203.in-addr.arpa", DnsType::kPtr, "ASK"},
      {open, "_xmpp._tcp.api.test", DnsType::kSrv, "ASK"},
      {open, "api.test", DnsType::kHttps, "NOERROR keep 60"},
      {open, "api.test", DnsType::kSvcb, "NOERROR keep 60"},
      {open, "api.test", static_cast<DnsType>(10), "NOERROR keep 60"},
      {open, "api.test", static_cast<DnsType>(65399), "NOERROR keep 60"},
      {open, "api.test", DnsType::kAny, "NOTIMP (not_supported)"},
      {open, "api.test", static_cast<DnsType>(252), "NOTIMP (not_supported)"},
      {open, "api.test", DnsType::kOpt, "NOTIMP (not_supported)"},
      {closed, "api.test", DnsType::kA, "NXDOMAIN (no_internet)"},
      {closed, "api.test", DnsType::kHttps, "NXDOMAIN (no_internet)"},
      {handled, "api.test", DnsType::kA, "NOERROR 198.18.0.1@60"},
      {handled, "api.test", DnsType::kAaaa, "NOERROR keep 60"},
      {handled, "api.test", DnsType::kTxt, "NOERROR keep 60"},
      {handled, "other.test", DnsType::kA, "NXDOMAIN (no_internet)"},
      {allowed, "api.test", DnsType::kA, "ASK"},
      {allowed, "api.example", DnsType::kTxt, "NXDOMAIN (not_allowed)"},
      {allowed_closed, "api.test", DnsType::kA, "NOERROR 198.18.0.1@60"},
      {denied, "api.test", DnsType::kA, "NXDOMAIN (denied_host)"},
      {denied, "other.test", DnsType::kA, "ASK"},
      {open, "localhost", DnsType::kA, "NOERROR 127.0.0.1@60"},
      {open, "a.localhost", DnsType::kAaaa, "NOERROR ::1@60"},
      {open, "localhost", DnsType::kTxt, "NOERROR keep 60"},
      {closed, "localhost", DnsType::kA, "NXDOMAIN (no_internet)"},
      {allowed, "localhost", DnsType::kA, "NXDOMAIN (not_allowed)"},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(Locally(test.policy, Question(test.name, test.type)), test.reply)
        << test.name << " " << DnsTypeName(test.type);
  }
}

TEST(DnsReplyWithoutUpstreamTest, MonitorModeResolvesWhatItWouldRefuse) {
  const auto monitored = [](const std::string& fields, DnsType type = DnsType::kA) {
    return Locally(Policy("monitor: true " + fields), Question("api.test", type));
  };
  EXPECT_EQ(monitored("denied_hosts { hosts: 'api.test' }"), "ASK (would deny: denied_host)");
  EXPECT_EQ(monitored("allowed_hosts {}", DnsType::kTxt), "ASK (would deny: not_allowed)");
  EXPECT_EQ(monitored("enable_internet: false"), "ASK (would deny: no_internet)");
  EXPECT_EQ(monitored("allowed_hosts {}", DnsType::kHttps),
            "NOERROR keep 60 (would deny: not_allowed)");
  EXPECT_EQ(monitored("allowed_hosts { hosts: '*.test' } enable_internet: false"), "ASK");
}

TEST(DnsReplyWithoutUpstreamTest, NothingIsKnownBeforeThePolicy) {
  DnsNames names;
  const auto reply = DnsReplyWithoutUpstream(Question("api.test", DnsType::kA), nullptr, names);
  EXPECT_EQ(Text(std::get<DnsReply>(reply)), "REFUSED (no_policy)");
}

TEST(DnsReplyWithoutUpstreamTest, NamesThatNoHostHasDoNotExist) {
  DnsQuery query = Question("api.test", DnsType::kA);
  query.host.reset();
  EXPECT_EQ(Locally(Policy(""), query), "NXDOMAIN (bad_name)");
}

std::string Upstream(DnsType type, const std::vector<DnsRecord>& records,
                     DnsRcode rcode = DnsRcode::kNoError) {
  return BuildDnsReply(Question("api.test", type), rcode, records, 65535);
}
absl::StatusOr<UpstreamAnswer> Parsed(DnsType type, absl::StatusOr<std::string> message) {
  if (!message.ok()) return message.status();
  return UpstreamAnswer::Parse(*std::move(message), EncodeDnsName("api.test"), type);
}
std::vector<DnsRecord> Addresses(const std::vector<std::string>& texts) {
  std::vector<DnsRecord> records;
  for (const std::string& text : texts) {
    records.push_back(DnsRecord::Address(*IpAddress::Parse(text), 90));
  }
  return records;
}

class DnsReplyFromUpstreamTest : public testing::Test {
 protected:
  std::string Reply(const EffectivePolicy& policy, DnsType type,
                    absl::StatusOr<std::string> upstream) {
    return Text(DnsReplyFromUpstream(Question("api.test", type), &policy, open_ranges_, names_,
                                     Parsed(type, std::move(upstream))));
  }
  std::string NameOf(const char* address) {
    const std::optional<Host> name = names_.NameOf(*IpAddress::Parse(address));
    return name.has_value() ? name->text() : "none";
  }

  OpenRanges open_ranges_;
  DnsNames names_;
  const EffectivePolicy open_ = Policy("");
  const EffectivePolicy handled_ = Policy(kHandlerRule);
};

TEST_F(DnsReplyFromUpstreamTest, GivesAddressesAndRemembersThem) {
  EXPECT_EQ(
      Reply(open_, DnsType::kA, Upstream(DnsType::kA, Addresses({"203.0.113.1", "203.0.113.2"}))),
      "NOERROR 203.0.113.1@90 203.0.113.2@90");
  EXPECT_EQ(Reply(open_, DnsType::kAaaa, Upstream(DnsType::kAaaa, Addresses({"2606:4700::1"}))),
            "NOERROR 2606:4700::1@90");
  EXPECT_EQ(NameOf("203.0.113.2"), "api.test");
  EXPECT_EQ(NameOf("2606:4700::1"), "api.test");
}

TEST_F(DnsReplyFromUpstreamTest, LeavesForbiddenAddressesOut) {
  EXPECT_EQ(Reply(open_, DnsType::kA,
                  Upstream(DnsType::kA, Addresses({"10.0.0.1", "203.0.113.1", "169.254.169.254",
                                                   "127.0.0.1", "198.18.0.1"}))),
            "NOERROR 203.0.113.1@90");
  EXPECT_EQ(NameOf("10.0.0.1"), "none");
}

TEST_F(DnsReplyFromUpstreamTest, OnlyForbiddenAddressesAreNone) {
  EXPECT_EQ(Reply(open_, DnsType::kA, Upstream(DnsType::kA, Addresses({"10.0.0.1"}))),
            "NXDOMAIN (forbidden_address)");
  EXPECT_EQ(Reply(open_, DnsType::kAaaa, Upstream(DnsType::kAaaa, Addresses({"::1", "fd00::1"}))),
            "NXDOMAIN (forbidden_address)");
  // Placeholders are nobody's, also where the operator opened their range.
  open_ranges_.push_back(*Cidr::Parse("198.18.0.0/15"));
  EXPECT_EQ(Reply(open_, DnsType::kA, Upstream(DnsType::kA, Addresses({"198.18.0.7"}))),
            "NXDOMAIN (forbidden_address)");
}

TEST_F(DnsReplyFromUpstreamTest, OperatorsMayOpenRanges) {
  open_ranges_.push_back(*Cidr::Parse("10.0.0.0/24"));
  EXPECT_EQ(Reply(open_, DnsType::kA, Upstream(DnsType::kA, Addresses({"10.0.0.1"}))),
            "NOERROR 10.0.0.1@90");
}

TEST_F(DnsReplyFromUpstreamTest, DeniedNetworksCount) {
  const EffectivePolicy denied = Policy("denied_hosts { hosts: '203.0.113.0/24' }");
  EXPECT_EQ(
      Reply(denied, DnsType::kA, Upstream(DnsType::kA, Addresses({"203.0.113.1", "198.51.100.1"}))),
      "NOERROR 198.51.100.1@90");
}

TEST_F(DnsReplyFromUpstreamTest, MonitorModeKeepsDeniedNetworksAndNoForbiddenOnes) {
  const EffectivePolicy policy =
      Policy("monitor: true denied_hosts { hosts: '203.0.113.0/24' hosts: '10.0.0.0/8' }");
  EXPECT_EQ(Reply(policy, DnsType::kA, Upstream(DnsType::kA, Addresses({"203.0.113.1"}))),
            "NOERROR 203.0.113.1@90 (would deny: denied_host)");
  EXPECT_EQ(
      Reply(policy, DnsType::kA, Upstream(DnsType::kA, Addresses({"203.0.113.1", "198.51.100.1"}))),
      "NOERROR 203.0.113.1@90 198.51.100.1@90");
  EXPECT_EQ(Reply(policy, DnsType::kA, Upstream(DnsType::kA, Addresses({"10.0.0.1"}))),
            "NXDOMAIN (forbidden_address)");
  EXPECT_EQ(Reply(Policy("monitor: true allowed_hosts {}"), DnsType::kA,
                  Upstream(DnsType::kA, Addresses({"203.0.113.1"}))),
            "NOERROR 203.0.113.1@90 (would deny: not_allowed)");
}

TEST_F(DnsReplyFromUpstreamTest, KeepsApartNoNameAndNoAddress) {
  EXPECT_EQ(Reply(open_, DnsType::kA, Upstream(DnsType::kA, {})), "NOERROR");
  EXPECT_EQ(Reply(open_, DnsType::kA, Upstream(DnsType::kA, {}, DnsRcode::kNxDomain)), "NXDOMAIN");
  EXPECT_EQ(Reply(open_, DnsType::kTxt, Upstream(DnsType::kTxt, {}, DnsRcode::kNxDomain)),
            "NXDOMAIN");
}

TEST_F(DnsReplyFromUpstreamTest, NegativeAnswersMayBeKeptAsLongAsTheResolverSays) {
  const auto negative = [](DnsType type, DnsRcode rcode) {
    return BuildNegativeDnsReply(Question("api.test", type), rcode, 30);
  };
  EXPECT_EQ(Reply(open_, DnsType::kA, negative(DnsType::kA, DnsRcode::kNxDomain)),
            "NXDOMAIN keep 30");
  EXPECT_EQ(Reply(open_, DnsType::kA, negative(DnsType::kA, DnsRcode::kNoError)),
            "NOERROR keep 30");
  EXPECT_EQ(Reply(open_, DnsType::kTxt, negative(DnsType::kTxt, DnsRcode::kNoError)),
            "NOERROR keep 30");
}

TEST_F(DnsReplyFromUpstreamTest, NamesOfHandlersExist) {
  const auto none = [](DnsType type) { return Upstream(type, {}, DnsRcode::kNxDomain); };
  EXPECT_EQ(Reply(handled_, DnsType::kA, none(DnsType::kA)), "NOERROR 198.18.0.1@60");
  EXPECT_EQ(Reply(handled_, DnsType::kAaaa, none(DnsType::kAaaa)), "NOERROR keep 60");
  EXPECT_EQ(Reply(handled_, DnsType::kMx, none(DnsType::kMx)), "NOERROR keep 60");
  EXPECT_EQ(Reply(handled_, DnsType::kA, Upstream(DnsType::kA, Addresses({"10.0.0.1"}))),
            "NOERROR 198.18.0.1@60");
  EXPECT_EQ(Reply(handled_, DnsType::kA, Upstream(DnsType::kA, Addresses({"203.0.113.1"}))),
            "NOERROR 203.0.113.1@90");
  EXPECT_EQ(Reply(handled_, DnsType::kA, Upstream(DnsType::kA, {})), "NOERROR");
}

TEST_F(DnsReplyFromUpstreamTest, PassesOtherTypesOn) {
  EXPECT_EQ(Reply(open_, DnsType::kTxt,
                  Upstream(DnsType::kTxt,
                           {{.type = DnsType::kTxt, .ttl = 9, .data = "\2hi", .owner = ""}})),
            "NOERROR +");
}

TEST_F(DnsReplyFromUpstreamTest, FailuresAreServfail) {
  EXPECT_EQ(Reply(open_, DnsType::kA, absl::DeadlineExceededError("")), "SERVFAIL");
  EXPECT_EQ(Reply(open_, DnsType::kA, absl::UnavailableError("")), "SERVFAIL");
  EXPECT_EQ(Reply(open_, DnsType::kA, absl::ResourceExhaustedError("")), "SERVFAIL (overloaded)");
  EXPECT_EQ(Reply(open_, DnsType::kA, absl::PermissionDeniedError("")), "REFUSED (dns_tunnel)");
  EXPECT_EQ(Reply(handled_, DnsType::kA, absl::UnavailableError("")), "SERVFAIL");
  EXPECT_EQ(Reply(open_, DnsType::kA, "garbage"s), "SERVFAIL");
  EXPECT_EQ(Reply(open_, DnsType::kA, Upstream(DnsType::kA, {}, DnsRcode::kRefused)), "SERVFAIL");
  EXPECT_EQ(Reply(open_, DnsType::kTxt, Upstream(DnsType::kTxt, Addresses({"203.0.113.1"}))),
            "SERVFAIL");
}

TEST_F(DnsReplyFromUpstreamTest, ThePolicyMayHaveChanged) {
  const std::string answer = Upstream(DnsType::kA, Addresses({"203.0.113.1"}));
  EXPECT_EQ(Reply(Policy("denied_hosts { hosts: 'api.test' }"), DnsType::kA, answer),
            "NXDOMAIN (denied_host)");
  EXPECT_EQ(Text(DnsReplyFromUpstream(Question("api.test", DnsType::kA), nullptr, open_ranges_,
                                      names_, Parsed(DnsType::kA, answer))),
            "REFUSED (no_policy)");
  EXPECT_EQ(NameOf("203.0.113.1"), "none");
}

}  // namespace
}  // namespace sallyport::proxy
