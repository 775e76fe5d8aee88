#include "agent/proxy/dns/message.h"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::proxy {
namespace {

using namespace std::string_literals;  // NOLINT: strings with NUL bytes.

// Id 0x1234, RD, one question, no records.
const std::string kHeader = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"s;
const std::string kApiTest =
    "\x03"
    "Api\x04Test\0"s;
const std::string kTypeAClassIn = "\0\x01\0\x01"s;
// Root, OPT, size 1400, extended RCODE and version 0, no flags, no options.
const std::string kOpt = "\0\0\x29\x05\x78\0\0\0\0\0\0"s;

std::string WithCounts(std::string message, uint16_t qd, uint16_t an, uint16_t ns, uint16_t ar) {
  WriteU16(qd, 4, &message);
  WriteU16(an, 6, &message);
  WriteU16(ns, 8, &message);
  WriteU16(ar, 10, &message);
  return message;
}
const std::string kPlain = kHeader + kApiTest + kTypeAClassIn;
const std::string kWithOpt = WithCounts(kPlain + kOpt, 1, 0, 0, 1);

std::string Labels(int count, size_t length) {
  std::string name;
  for (int i = 0; i < count; ++i) name += static_cast<char>(length) + std::string(length, 'a');
  return name + '\0';
}

// "drop", the name of the error, or "query".
std::string Outcome(const std::string& message) {
  const auto parsed = ParseDnsQuery(message);
  if (std::holds_alternative<DnsQuery>(parsed)) return "query";
  const std::string& reply = std::get<BadDnsQuery>(parsed).reply;
  if (reply.empty()) return "drop";
  EXPECT_EQ(reply.substr(0, 2), message.substr(0, 2));
  EXPECT_NE(ReadU16(reply, 2) & 0x8000, 0);
  if (ReadU16(reply, 10) == 1) return reply[17] == 1 ? "BADVERS" : "OPT";
  switch (ReadU16(reply, 2) & 15) {
    case 1:
      return "FORMERR";
    case 4:
      return "NOTIMP";
    case 5:
      return "REFUSED";
  }
  return "other";
}

TEST(ParseDnsQueryTest, ReadsAQuestion) {
  const auto parsed = ParseDnsQuery(kPlain);
  const DnsQuery& query = std::get<DnsQuery>(parsed);
  EXPECT_EQ(query.id, 0x1234);
  EXPECT_TRUE(query.recursion_desired);
  EXPECT_EQ(query.host->text(), "api.test");
  EXPECT_EQ(query.wire_name, kApiTest);
  EXPECT_EQ(query.type, DnsType::kA);
  EXPECT_FALSE(query.edns);
  EXPECT_EQ(query.max_reply_bytes, 512u);
}

TEST(ParseDnsQueryTest, ReadsEdns) {
  const auto parsed = ParseDnsQuery(kWithOpt);
  EXPECT_TRUE(std::get<DnsQuery>(parsed).edns);
  EXPECT_EQ(std::get<DnsQuery>(parsed).max_reply_bytes, kMaxUdpReplyBytes);
}

TEST(ParseDnsQueryTest, LimitsTheSizeOfAnswers) {
  std::string small = kWithOpt, large = kWithOpt;
  WriteU16(0, kPlain.size() + 3, &small);
  WriteU16(65535, kPlain.size() + 3, &large);
  EXPECT_EQ(std::get<DnsQuery>(ParseDnsQuery(small)).max_reply_bytes, 512u);
  EXPECT_EQ(std::get<DnsQuery>(ParseDnsQuery(large)).max_reply_bytes, kMaxUdpReplyBytes);
}

TEST(ParseDnsQueryTest, RefusesWhatIsNotAQuery) {
  const std::string question = kApiTest + kTypeAClassIn;
  const std::string opt_version_1 = "\0\0\x29\x05\x78\0\x01\0\0\0\0"s;
  struct {
    const char* what;
    std::string message;
    const char* outcome;
  } const cases[] = {
      {"nothing", "", "drop"},
      {"half a header", kHeader.substr(0, 11), "drop"},
      {"an answer", "\x12\x34\x81"s + kPlain.substr(3), "drop"},
      {"opcode STATUS", "\x12\x34\x10"s + kPlain.substr(3), "NOTIMP"},
      {"opcode UPDATE", "\x12\x34\x28"s + kPlain.substr(3), "NOTIMP"},
      {"no question", WithCounts(kHeader, 0, 0, 0, 0), "FORMERR"},
      {"two questions", WithCounts(kHeader + question + question, 2, 0, 0, 0), "FORMERR"},
      {"65535 questions", WithCounts(kPlain, 65535, 0, 0, 0), "FORMERR"},
      {"an answer record", WithCounts(kPlain, 1, 1, 0, 0), "FORMERR"},
      {"an authority record", WithCounts(kPlain, 1, 0, 1, 0), "FORMERR"},
      {"two OPT", WithCounts(kPlain + kOpt + kOpt, 1, 0, 0, 2), "FORMERR"},
      {"additional record missing", WithCounts(kPlain, 1, 0, 0, 1), "FORMERR"},
      {"OPT not counted", kPlain + kOpt, "FORMERR"},
      {"additional record that is no OPT",
       WithCounts(kPlain + "\0\0\x01\0\x01\0\0\0\0\0\0"s, 1, 0, 0, 1), "FORMERR"},
      {"OPT shorter than its options",
       WithCounts(kPlain + "\0\0\x29\x05\x78\0\0\0\0\0\x04\0\x0a"s, 1, 0, 0, 1), "FORMERR"},
      {"option longer than OPT",
       WithCounts(kPlain + "\0\0\x29\x05\x78\0\0\0\0\0\x04\0\x0a\0\x01"s, 1, 0, 0, 1), "FORMERR"},
      {"an option", WithCounts(kPlain + "\0\0\x29\x05\x78\0\0\0\0\0\x05\0\x0a\0\x01x"s, 1, 0, 0, 1),
       "query"},
      {"EDNS version 1", WithCounts(kPlain + opt_version_1, 1, 0, 0, 1), "BADVERS"},
      {"pointer to itself", kHeader + "\xc0\x0c"s + kTypeAClassIn, "FORMERR"},
      {"pointer forward", kHeader + "\xc0\x10"s + kTypeAClassIn + kApiTest, "FORMERR"},
      {"pointer into the header",
       kHeader +
           "\x03"
           "api\xc0\x04"s +
           kTypeAClassIn,
       "FORMERR"},
      {"label type 01", kHeader + "\x41"s + std::string(65, 'a') + "\0"s + kTypeAClassIn,
       "FORMERR"},
      {"label of 63 bytes", kHeader + Labels(1, 63) + kTypeAClassIn, "query"},
      {"label of 64 bytes", kHeader + Labels(1, 64) + kTypeAClassIn, "FORMERR"},
      {"name of 255 bytes", kHeader + Labels(127, 1) + kTypeAClassIn, "query"},
      {"name of 257 bytes", kHeader + Labels(128, 1) + kTypeAClassIn, "FORMERR"},
      {"name without end", kHeader + Labels(5, 63), "FORMERR"},
      {"trailing byte", kPlain + "x", "FORMERR"},
      {"trailing byte after OPT", kWithOpt + "x", "FORMERR"},
      {"64 KiB", kPlain + std::string(65535 - kPlain.size(), '\0'), "FORMERR"},
      {"class CH", kHeader + kApiTest + "\0\x10\0\x03"s, "REFUSED"},
      {"class ANY", kHeader + kApiTest + "\0\x01\0\xff"s, "REFUSED"},
  };
  for (const auto& test : cases) EXPECT_EQ(Outcome(test.message), test.outcome) << test.what;
}

TEST(ParseDnsQueryTest, RefusesEveryShorterMessage) {
  for (size_t i = 0; i < kWithOpt.size(); ++i) {
    EXPECT_EQ(Outcome(kWithOpt.substr(0, i)), i < kDnsHeaderBytes ? "drop" : "FORMERR") << i;
  }
}

TEST(ParseDnsQueryTest, KnowsWhichNamesHostsHave) {
  struct {
    std::string wire;
    const char* host;  // Null: none.
  } const cases[] = {
      {"\x03www\x04test\0"s, "www.test"},
      {"\x03WWW\x04tESt\0"s, "www.test"},
      {"\x04_tcp\x04test\0"s, "_tcp.test"},
      {"\x01"
       "4\x01"
       "3\x07in-addr\x04"
       "arpa\0"s,
       "4.3.in-addr.arpa"},
      {"\0"s, nullptr},
      {"\x08www.test\0"s, nullptr},
      {"\x04test\x01.\0"s, nullptr},
      {"\x03"
       "a\0b\x04test\0"s,
       nullptr},
      {"\x03"
       "a b\x04test\0"s,
       nullptr},
      {"\x02\xc3\xa9\x04test\0"s, nullptr},
      {"\x01*\x04test\0"s, nullptr},
      {"\x01"
       "1\x01"
       "2\x01"
       "3\x01"
       "4\0"s,
       nullptr},
      {"\x04"
       "0x7f\0"s,
       nullptr},
  };
  for (const auto& test : cases) {
    const auto parsed = ParseDnsQuery(kHeader + test.wire + kTypeAClassIn);
    ASSERT_TRUE(std::holds_alternative<DnsQuery>(parsed));
    const std::optional<Host>& host = std::get<DnsQuery>(parsed).host;
    EXPECT_EQ(host.has_value() ? host->text() : "none", test.host == nullptr ? "none" : test.host);
  }
}

TEST(BuildDnsReplyTest, AnswersByteForByte) {
  const DnsQuery query = std::get<DnsQuery>(ParseDnsQuery(kWithOpt));
  const std::vector<DnsRecord> records = {DnsRecord::Address(*IpAddress::Parse("203.0.113.7"), 60)};
  EXPECT_EQ(BuildDnsReply(query, DnsRcode::kNoError, records),
            "\x12\x34\x81\x80\0\x01\0\x01\0\0\0\x01"s + kApiTest + kTypeAClassIn +
                "\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xcb\0\x71\x07"s +
                "\0\0\x29\x04\xd0\0\0\0\0\0\0"s);
}

TEST(BuildDnsReplyTest, RepeatsTheDnssecFlagAndNoOther) {
  std::string message = kWithOpt;
  WriteU16(0xffff, kPlain.size() + 7, &message);
  const DnsQuery query = std::get<DnsQuery>(ParseDnsQuery(message));
  const std::string reply = BuildDnsReply(query, DnsRcode::kNoError);
  EXPECT_EQ(reply.substr(reply.size() - 11), "\0\0\x29\x04\xd0\0\0\x80\0\0\0"s);
}

TEST(BuildNegativeDnsReplyTest, SaysHowLongItMayBeKept) {
  for (const std::string& question : {kPlain, kWithOpt}) {
    const DnsQuery query = std::get<DnsQuery>(ParseDnsQuery(question));
    const std::string reply = BuildNegativeDnsReply(query, DnsRcode::kNxDomain, 17);
    EXPECT_EQ(reply.substr(0, 12), query.edns ? "\x12\x34\x81\x83\0\x01\0\0\0\x01\0\x01"s
                                              : "\x12\x34\x81\x83\0\x01\0\0\0\x01\0\0"s);
    const size_t soa = kPlain.size();
    EXPECT_EQ(reply.substr(soa, 10), "\xc0\x0c\0\x06\0\x01\0\0\0\x11"s);
    const size_t end = soa + 12 + ReadU16(reply, soa + 10);
    EXPECT_EQ(reply.substr(end - 4, 4), "\0\0\0\x11"s);
    EXPECT_EQ(reply.substr(end), query.edns ? "\0\0\x29\x04\xd0\0\0\0\0\0\0"s : "");
  }
}

TEST(BuildNegativeDnsReplyTest, FitsTheLongestName) {
  const DnsQuery query =
      std::get<DnsQuery>(ParseDnsQuery(kHeader + Labels(127, 1) + kTypeAClassIn));
  EXPECT_LE(BuildNegativeDnsReply(query, DnsRcode::kNxDomain, 60).size(), 512u);
}

TEST(BuildDnsReplyTest, LeavesOutWhatDoesNotFit) {
  const DnsQuery query = std::get<DnsQuery>(ParseDnsQuery(kPlain));
  const std::vector<DnsRecord> many(100, DnsRecord::Address(*IpAddress::Parse("2001:db8::1"), 1));
  const std::string reply = BuildDnsReply(query, DnsRcode::kNoError, many);
  EXPECT_EQ(ReadU16(reply, 2), 0x8380);  // TC
  EXPECT_EQ(ReadU16(reply, 6), 17);
  EXPECT_LE(reply.size(), 512u);
  EXPECT_EQ(reply.size(), kPlain.size() + 17 * 28);
}

}  // namespace
}  // namespace sallyport::proxy
