#include "agent/proxy/dns/upstream_answer.h"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::proxy {
namespace {

using namespace std::string_literals;  // NOLINT: strings with NUL bytes.

const std::string kName = EncodeDnsName("api.test");

DnsQuery Question(DnsType type, bool edns = false) {
  return DnsQuery{.id = 7,
                  .recursion_desired = true,
                  .wire_name =
                      "\x03"
                      "API\x04tesT\0"s,
                  .host = *Host::Parse("api.test"),
                  .type = type,
                  .edns = edns};
}

// An answer as a resolver would send it.
std::string Answer(DnsType type, const std::vector<DnsRecord>& records,
                   DnsRcode rcode = DnsRcode::kNoError) {
  DnsQuery query = Question(type);
  query.wire_name = kName;
  query.id = 99;
  return BuildDnsReply(query, rcode, records, 65535);
}

DnsRecord Record(DnsType type, std::string data, uint32_t ttl = 60, std::string owner = "") {
  return DnsRecord{.type = type, .ttl = ttl, .data = std::move(data), .owner = std::move(owner)};
}
DnsRecord Address(const char* text, uint32_t ttl = 60, std::string owner = "") {
  DnsRecord record = DnsRecord::Address(*IpAddress::Parse(text), ttl);
  record.owner = std::move(owner);
  return record;
}
DnsRecord Alias(const char* from, const char* to, uint32_t ttl = 60) {
  return Record(DnsType::kCname, EncodeDnsName(to), ttl, EncodeDnsName(from));
}

// "203.0.113.1 203.0.113.2 ttl=60", or "malformed".
std::string Addresses(DnsType type, const std::string& message) {
  const auto answer = UpstreamAnswer::Parse(message, kName, type);
  if (!answer.ok()) return "malformed";
  const DnsAddresses found = answer->Addresses();
  std::string text;
  for (const IpAddress& address : found.addresses) text += address.ToString() + " ";
  return text + "ttl=" + std::to_string(found.ttl);
}

TEST(UpstreamAnswerTest, FindsAddresses) {
  EXPECT_EQ(Addresses(DnsType::kA, Answer(DnsType::kA, {Address("203.0.113.1", 60),
                                                        Address("203.0.113.2", 50)})),
            "203.0.113.1 203.0.113.2 ttl=50");
  EXPECT_EQ(Addresses(DnsType::kAaaa, Answer(DnsType::kAaaa, {Address("2001:db8::1")})),
            "2001:db8::1 ttl=60");
}

TEST(UpstreamAnswerTest, FollowsAliases) {
  EXPECT_EQ(
      Addresses(DnsType::kA,
                Answer(DnsType::kA, {Address("203.0.113.9", 60, EncodeDnsName("c.test")),
                                     Alias("b.test", "c.test", 40), Alias("api.test", "B.test")})),
      "203.0.113.9 ttl=40");
}

TEST(UpstreamAnswerTest, IgnoresWhatTheNameDoesNotLeadTo) {
  EXPECT_EQ(
      Addresses(DnsType::kA,
                Answer(DnsType::kA, {Address("203.0.113.9", 60, EncodeDnsName("evil.test"))})),
      "ttl=300");
  // Another family, and data of another length.
  EXPECT_EQ(Addresses(DnsType::kA,
                      Answer(DnsType::kA, {Address("2001:db8::1"), Record(DnsType::kA, "\1\2\3")})),
            "ttl=300");
}

TEST(UpstreamAnswerTest, EndsAliasLoops) {
  EXPECT_EQ(Addresses(DnsType::kA, Answer(DnsType::kA, {Alias("api.test", "b.test"),
                                                        Alias("b.test", "api.test")})),
            "ttl=60");
}

TEST(UpstreamAnswerTest, CutsLifetimes) {
  EXPECT_EQ(Addresses(DnsType::kA, Answer(DnsType::kA, {Address("203.0.113.1", 86400)})),
            "203.0.113.1 ttl=300");
  EXPECT_EQ(Addresses(DnsType::kA, Answer(DnsType::kA, {Address("203.0.113.1", 0x80000001)})),
            "203.0.113.1 ttl=0");
}

// How long an answer to a question for A records may be kept.
uint32_t Lifetime(const std::string& message) {
  return UpstreamAnswer::Parse(message, kName, DnsType::kA)->lifetime();
}

TEST(UpstreamAnswerTest, MayBeKeptAsLongAsItsShortestRecord) {
  EXPECT_EQ(Lifetime(Answer(DnsType::kA, {Address("203.0.113.1", 60), Address("203.0.113.2", 5)})),
            5u);
  EXPECT_EQ(Lifetime(Answer(DnsType::kA, {Alias("api.test", "b.test", 7),
                                          Address("203.0.113.1", 60, EncodeDnsName("b.test"))})),
            7u);
  EXPECT_EQ(Lifetime(Answer(DnsType::kA, {Address("203.0.113.1", 86400)})), kMaxDnsTtl);
  EXPECT_EQ(Lifetime(Answer(DnsType::kA, {Address("203.0.113.1", 0)})), 0u);
}

TEST(UpstreamAnswerTest, NegativeAnswersMayBeKeptByTheirSoa) {
  DnsQuery query = Question(DnsType::kA);
  query.wire_name = kName;
  EXPECT_EQ(Lifetime(BuildNegativeDnsReply(query, DnsRcode::kNxDomain, 20)), 20u);
  EXPECT_EQ(Lifetime(BuildNegativeDnsReply(query, DnsRcode::kNoError, 20)), 20u);
  EXPECT_EQ(Lifetime(BuildNegativeDnsReply(query, DnsRcode::kNxDomain, 9999)), kMaxNegativeDnsTtl);
  EXPECT_EQ(Lifetime(Answer(DnsType::kA, {}, DnsRcode::kNxDomain)), 0u);
  EXPECT_EQ(Lifetime(Answer(DnsType::kA, {Alias("api.test", "b.test")})), 0u);
  // The least of the record's own TTL and its MINIMUM.
  std::string message = BuildNegativeDnsReply(query, DnsRcode::kNxDomain, 20);
  WriteU32(4, message.size() - 4, &message);
  EXPECT_EQ(Lifetime(message), 4u);
  // One that is malformed says nothing.
  const size_t soa = kDnsHeaderBytes + kName.size() + 4;
  for (size_t length = soa; length < message.size(); ++length) {
    EXPECT_EQ(Lifetime(message.substr(0, length)), 0u) << length;
  }
}

TEST(UpstreamAnswerTest, AgesWhileItIsKept) {
  auto answer = *UpstreamAnswer::Parse(
      Answer(DnsType::kA, {Address("203.0.113.1", 60), Address("203.0.113.2", 20)}), kName,
      DnsType::kA);
  answer.Age(15);
  EXPECT_EQ(answer.Addresses().ttl, 5u);
  EXPECT_EQ(answer.lifetime(), 5u);
  answer.Age(15);
  EXPECT_EQ(answer.lifetime(), 0u);
}

TEST(UpstreamAnswerTest, RefusesOtherAnswers) {
  const std::string good = Answer(DnsType::kA, {Address("203.0.113.1")});
  std::string query = good, opcode = good, two = good, other_class = good, record_class = good;
  query[2] &= 0x7f;
  opcode[2] |= 0x08;
  WriteU16(2, 4, &two);
  WriteU16(3, kDnsHeaderBytes + kName.size() + 2, &other_class);
  WriteU16(3, kDnsHeaderBytes + kName.size() + 8, &record_class);
  for (const std::string& message : {query, opcode, two, other_class, record_class}) {
    EXPECT_EQ(Addresses(DnsType::kA, message), "malformed");
  }
  EXPECT_EQ(Addresses(DnsType::kAaaa, good), "malformed");
  EXPECT_FALSE(UpstreamAnswer::Parse(good, EncodeDnsName("apj.test"), DnsType::kA).ok());
}

TEST(UpstreamAnswerTest, RefusesEveryShorterMessage) {
  const std::string good =
      Answer(DnsType::kA, {Alias("api.test", "b.test"), Address("203.0.113.1")});
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_EQ(Addresses(DnsType::kA, good.substr(0, i)), "malformed") << i;
  }
}

const std::string kHeader(kDnsHeaderBytes, '\0');

TEST(ReadDnsNameTest, FollowsPointersBackwardsOnly) {
  struct {
    std::string message;  // After a header.
    size_t offset;
    std::string name;  // Empty: malformed.
  } const cases[] = {
      {"\x01"
       "a\0\xc0\x0c"s,
       3,
       "\x01"
       "a\0"s},
      {"\x01"
       "a\0\x01"
       "b\xc0\x0c"s,
       3,
       "\x01"
       "b\x01"
       "a\0"s},
      {"\x01"
       "a\0\xc0\x0c\x01"
       "b\xc0\x0f"s,
       5,
       "\x01"
       "b\x01"
       "a\0"s},
      {"\xc0\x0c"s, 0, ""},    // To itself.
      {"\xc0\x0e\0"s, 0, ""},  // Forward.
      {"\x01"
       "a\xc0\x0c"s,
       0, ""},  // Into the name itself.
      {"\x01"
       "a\xc0\x10\xc0\x0c"s,
       4, ""},  // Back, then forward again.
      {"\x03"
       "a\xc0\x0c"
       "b\0"s,
       2, ""},               // Back, then over the name itself.
      {"\xc0\x0b"s, 0, ""},  // Into the header.
      {"\x40"
       "a\0"s,
       0, ""},  // Label type 01.
      {"\x02"
       "a"s,
       0, ""},  // Cut.
      {"\x01"
       "a"s,
       0, ""},             // Without end.
      {"\0\xc0"s, 1, ""},  // Half a pointer.
  };
  for (const auto& test : cases) {
    const std::string message = kHeader + test.message;
    size_t offset = kDnsHeaderBytes + test.offset;
    const absl::StatusOr<std::string> name = ReadDnsName(message, &offset);
    EXPECT_EQ(name.ok() ? *name : "", test.name) << testing::PrintToString(test.message);
    if (name.ok()) EXPECT_EQ(offset, message.size());
  }
}

TEST(ReadDnsNameTest, LimitsNames) {
  // 100 names, each a label in front of the one before: the total passes 255 bytes on the way.
  std::string message = kHeader + "\0"s;
  size_t last = kDnsHeaderBytes;
  int readable = 0;
  for (int i = 0; i < 100; ++i) {
    const size_t begin = message.size();
    message +=
        "\x04"
        "abcd";
    AppendU16(static_cast<uint16_t>(0xc000 | last), &message);
    size_t offset = begin;
    if (ReadDnsName(message, &offset).ok()) ++readable;
    last = begin;
  }
  EXPECT_EQ(readable, 50);  // 50 × 5 + 1 = 251 bytes.
}

TEST(PassOnTest, KeepsTheAnswerSectionOnly) {
  std::string message = Answer(DnsType::kTxt, {Record(DnsType::kTxt, "\5hello", 86400)});
  const size_t answer_ends = message.size();
  message += "\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xcb\0\x71\x07"s;  // As authority.
  WriteU16(1, 8, &message);
  const auto answer = UpstreamAnswer::Parse(message, kName, DnsType::kTxt);
  ASSERT_TRUE(answer.ok());
  const absl::StatusOr<std::string> reply = answer->PassOn(Question(DnsType::kTxt));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(*reply, "\0\x07\x81\x80\0\x01\0\x01\0\0\0\0"s +
                        "\x03"
                        "API\x04tesT\0\0\x10\0\x01"s +
                        "\xc0\x0c\0\x10\0\x01\0\0\x01\x2c\0\x06\5hello"s);
  EXPECT_EQ(reply->size(), answer_ends);
}

TEST(PassOnTest, AddsOptForClientsWithEdns) {
  const auto answer =
      UpstreamAnswer::Parse(Answer(DnsType::kTxt, {}, DnsRcode::kNxDomain), kName, DnsType::kTxt);
  const absl::StatusOr<std::string> reply = answer->PassOn(Question(DnsType::kTxt, true));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(ReadU16(*reply, 10), 1);
  EXPECT_EQ(reply->substr(reply->size() - 11), "\0\0\x29\x04\xd0\0\0\0\0\0\0"s);
  EXPECT_EQ(ReadU16(*reply, 2), 0x8183);
}

TEST(PassOnTest, TruncatesWhatIsTooLarge) {
  const std::vector<DnsRecord> many(3, Record(DnsType::kTxt, "\xff" + std::string(255, 'x')));
  const auto answer = UpstreamAnswer::Parse(Answer(DnsType::kTxt, many), kName, DnsType::kTxt);
  const absl::StatusOr<std::string> reply = answer->PassOn(Question(DnsType::kTxt));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(ReadU16(*reply, 2) & 0x0200, 0x0200);
  EXPECT_EQ(ReadU16(*reply, 6), 0);
}

TEST(PassOnTest, RefusesNamesInsideLifetimes) {
  // The second record's name is the first one's TTL, which reads as a label of one byte and the
  // root.
  const std::string message = Answer(
      DnsType::kTxt,
      {Record(DnsType::kTxt, "\2hi", 0x01780000),
       Record(DnsType::kTxt, "\2hi", 60, "\xc0" + std::string(1, kDnsHeaderBytes + 10 + 4 + 6))});
  const auto answer = UpstreamAnswer::Parse(message, kName, DnsType::kTxt);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->PassOn(Question(DnsType::kTxt)).ok());
}

TEST(PassOnTest, RefusesRecordsThatWereNotAskedFor) {
  const auto answer =
      UpstreamAnswer::Parse(Answer(DnsType::kTxt, {Address("203.0.113.1")}), kName, DnsType::kTxt);
  EXPECT_EQ(answer->PassOn(Question(DnsType::kTxt)).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace sallyport::proxy
