// DNS messages (RFC 1035, EDNS: RFC 6891): queries are parsed strictly, answers are built.

#ifndef SALLYPORT_AGENT_PROXY_DNS_MESSAGE_H_
#define SALLYPORT_AGENT_PROXY_DNS_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/net/address.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Any 16-bit value is a type; these are the ones that are treated specially somewhere.
enum class DnsType : uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kNaptr = 35,
  kDname = 39,
  kOpt = 41,
  kDs = 43,
  kSshfp = 44,
  kRrsig = 46,
  kDnskey = 48,
  kTlsa = 52,
  kSvcb = 64,
  kHttps = 65,
  kAny = 255,
  kUri = 256,
  kCaa = 257,
};
// "A", "AAAA", "TXT", …, or "TYPE1234" (RFC 3597).
std::string DnsTypeName(DnsType type);

enum class DnsRcode : uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
};

inline constexpr size_t kDnsHeaderBytes = 12;
inline constexpr size_t kMaxDnsNameBytes = 255;  // On the wire, with the root label.
// No honest query is larger. Longer ones are FORMERR.
inline constexpr size_t kMaxDnsQueryBytes = 4096;
// What we say that we take over UDP, and the most that we send: no packet of this size is
// fragmented (the DNS flag day's size).
inline constexpr uint16_t kOurEdnsBytes = 1232;
inline constexpr size_t kMaxUdpReplyBytes = kOurEdnsBytes;

// A query with exactly one question of class IN and opcode QUERY.
struct DnsQuery {
  uint16_t id = 0;
  bool recursion_desired = false;
  // As received, the case of letters kept: a client may compare it (draft-vixie-dnsext-dns0x20).
  std::string wire_name;
  // Absent: no host can have this name (a byte that host names do not have, or the root).
  std::optional<Host> host;
  DnsType type = DnsType::kA;
  bool edns = false;
  // DO, the only flag that there is; an answer repeats it (RFC 3225 section 3).
  uint16_t edns_flags = 0;
  // What the client takes in one datagram.
  size_t max_reply_bytes = 512;
};

// Not a query that could be answered. `reply` is to be sent; empty: nothing is.
struct BadDnsQuery {
  std::string reply;
  std::string_view why;
};

// Messages that are answers (QR set) get no reply: two servers that answer each other's errors
// never stop.
std::variant<DnsQuery, BadDnsQuery> ParseDnsQuery(std::string_view message);

struct DnsRecord {
  DnsType type = DnsType::kA;
  uint32_t ttl = 0;  // Seconds.
  std::string data;
  // On the wire, uncompressed. Empty: the name of the question.
  std::string owner;

  static DnsRecord Address(const IpAddress& address, uint32_t ttl);
};

// An answer with as many of the records, in order, as fit into `max_bytes`; TC if not all do. Some
// clients use what they got, others ask again over TCP.
std::string BuildDnsReply(const DnsQuery& query, DnsRcode rcode, std::span<const DnsRecord> answers,
                          size_t max_bytes);
std::string BuildDnsReply(const DnsQuery& query, DnsRcode rcode,
                          std::span<const DnsRecord> answers = {});
// NXDOMAIN, or NOERROR without records, that clients may keep for `ttl` seconds: with an SOA record
// in the authority section (RFC 2308 section 3). Fits into any client's limit.
std::string BuildNegativeDnsReply(const DnsQuery& query, DnsRcode rcode, uint32_t ttl);
// An answer without records that sends the client to TCP (TC).
std::string BuildTruncatedDnsReply(const DnsQuery& query);
// The OPT record of our answers. RFC 6891 section 6.1.
void AppendOurOpt(uint8_t extended_rcode, uint16_t flags, std::string* message);

// "a.test" as labels with their lengths. REQUIRES: `name` is the text of a Host that is a name.
std::string EncodeDnsName(std::string_view name);
// Whether two names on the wire are the same but for the case of ASCII letters.
bool SameDnsName(std::string_view a, std::string_view b);

uint16_t ReadU16(std::string_view message, size_t offset);
uint32_t ReadU32(std::string_view message, size_t offset);
void AppendU16(uint16_t value, std::string* message);
void AppendU32(uint32_t value, std::string* message);
void WriteU16(uint16_t value, size_t offset, std::string* message);
void WriteU32(uint32_t value, size_t offset, std::string* message);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_MESSAGE_H_
