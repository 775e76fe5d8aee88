#include "agent/proxy/dns/message.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr uint16_t kClassIn = 1;
constexpr size_t kMaxLabelBytes = 63;
constexpr size_t kOptBytes = 11;  // Without options.

// Bits of the second header word.
constexpr uint16_t kResponse = 0x8000;
constexpr uint16_t kOpcodeMask = 0x7800;
constexpr uint16_t kTruncated = 0x0200;
constexpr uint16_t kRecursionDesired = 0x0100;
constexpr uint16_t kRecursionAvailable = 0x0080;
// In an OPT record.
constexpr uint16_t kDnssecOk = 0x8000;

std::string Header(uint16_t id, uint16_t flags, uint16_t questions, uint16_t answers,
                   uint16_t additional) {
  std::string message;
  AppendU16(id, &message);
  AppendU16(flags, &message);
  AppendU16(questions, &message);
  AppendU16(answers, &message);
  AppendU16(0, &message);
  AppendU16(additional, &message);
  return message;
}

BadDnsQuery Reject(std::string_view message, DnsRcode rcode, std::string_view why) {
  const uint16_t kept = ReadU16(message, 2) & (kOpcodeMask | kRecursionDesired);
  const uint16_t flags = kResponse | kept | static_cast<uint16_t>(rcode);
  return BadDnsQuery{.reply = Header(ReadU16(message, 0), flags, 0, 0, 0), .why = why};
}

// The end of the name that begins at `offset`, or 0. In a query nothing stands before the question
// that a compression pointer could point at, so pointers are errors.
size_t EndOfQuestionName(std::string_view message, size_t offset) {
  const size_t begin = offset;
  while (offset < message.size()) {
    const uint8_t length = static_cast<uint8_t>(message[offset]);
    if (length > kMaxLabelBytes) return 0;
    offset += 1 + length;
    if (offset - begin > kMaxDnsNameBytes) return 0;
    if (length == 0) return offset;
  }
  return 0;
}

std::optional<Host> HostOf(std::string_view wire_name) {
  std::string text;
  for (size_t i = 0; wire_name[i] != '\0';) {
    const size_t length = static_cast<uint8_t>(wire_name[i]);
    if (!text.empty()) text += '.';
    const std::string_view label = wire_name.substr(i + 1, length);
    // A dot inside a label would change which name the text stands for.
    if (label.find('.') != std::string_view::npos) return std::nullopt;
    text += label;
    i += 1 + length;
  }
  absl::StatusOr<Host> host = Host::Parse(text);
  if (!host.ok() || host->is_address()) return std::nullopt;
  return *std::move(host);
}

bool OptionsAreWellFormed(std::string_view options) {
  while (!options.empty()) {
    if (options.size() < 4) return false;
    const size_t length = ReadU16(options, 2);
    if (options.size() - 4 < length) return false;
    options.remove_prefix(4 + length);
  }
  return true;
}

void AppendRecord(const DnsRecord& record, std::string* message) {
  if (record.owner.empty()) {
    AppendU16(0xc000 | kDnsHeaderBytes, message);  // Points at the question's name.
  } else {
    *message += record.owner;
  }
  AppendU16(static_cast<uint16_t>(record.type), message);
  AppendU16(kClassIn, message);
  AppendU32(record.ttl, message);
  AppendU16(static_cast<uint16_t>(record.data.size()), message);
  *message += record.data;
}

// RFC 1035 section 3.3.13. Who may keep a negative answer looks at nothing but its last field.
DnsRecord StartOfAuthority(uint32_t ttl) {
  DnsRecord record{.type = DnsType::kSoa, .ttl = ttl, .data = "", .owner = ""};
  record.data = EncodeDnsName("sallyport.invalid") + EncodeDnsName("hostmaster.sallyport.invalid");
  for (const uint32_t number : {1u, 3600u, 600u, 86400u, ttl}) AppendU32(number, &record.data);
  return record;
}

std::string BuildReply(const DnsQuery& query, uint16_t flags, std::span<const DnsRecord> answers,
                       size_t max_bytes) {
  flags |= kResponse | kRecursionAvailable;
  if (query.recursion_desired) flags |= kRecursionDesired;
  std::string message = Header(query.id, flags, 1, 0, query.edns ? 1 : 0);
  message += query.wire_name;
  AppendU16(static_cast<uint16_t>(query.type), &message);
  AppendU16(kClassIn, &message);
  const size_t reserved = query.edns ? kOptBytes : 0;
  uint16_t count = 0;
  for (const DnsRecord& record : answers) {
    const size_t owner_bytes = record.owner.empty() ? 2 : record.owner.size();
    const size_t bytes = owner_bytes + 10 + record.data.size();
    if (message.size() + bytes + reserved > max_bytes) {
      WriteU16(flags | kTruncated, 2, &message);
      break;
    }
    AppendRecord(record, &message);
    ++count;
  }
  WriteU16(count, 6, &message);
  if (query.edns) AppendOurOpt(0, query.edns_flags, &message);
  return message;
}

}  // namespace

std::string DnsTypeName(DnsType type) {
  static constexpr std::pair<DnsType, std::string_view> kNames[] = {
      {DnsType::kA, "A"},         {DnsType::kNs, "NS"},         {DnsType::kCname, "CNAME"},
      {DnsType::kSoa, "SOA"},     {DnsType::kPtr, "PTR"},       {DnsType::kMx, "MX"},
      {DnsType::kTxt, "TXT"},     {DnsType::kAaaa, "AAAA"},     {DnsType::kSrv, "SRV"},
      {DnsType::kNaptr, "NAPTR"}, {DnsType::kDname, "DNAME"},   {DnsType::kOpt, "OPT"},
      {DnsType::kDs, "DS"},       {DnsType::kSshfp, "SSHFP"},   {DnsType::kRrsig, "RRSIG"},
      {DnsType::kTlsa, "TLSA"},   {DnsType::kDnskey, "DNSKEY"}, {DnsType::kSvcb, "SVCB"},
      {DnsType::kHttps, "HTTPS"}, {DnsType::kAny, "ANY"},       {DnsType::kUri, "URI"},
      {DnsType::kCaa, "CAA"},
  };
  for (const auto& [known, name] : kNames) {
    if (known == type) return std::string(name);
  }
  return StrCat("TYPE", static_cast<uint16_t>(type));
}

std::variant<DnsQuery, BadDnsQuery> ParseDnsQuery(std::string_view message) {
  if (message.size() < kDnsHeaderBytes) return BadDnsQuery{"", "shorter than a header"};
  const uint16_t flags = ReadU16(message, 2);
  if ((flags & kResponse) != 0) return BadDnsQuery{"", "an answer, not a query"};
  if ((flags & kOpcodeMask) != 0) return Reject(message, DnsRcode::kNotImp, "opcode");
  const auto malformed = [message](std::string_view why) {
    return Reject(message, DnsRcode::kFormErr, why);
  };
  if (message.size() > kMaxDnsQueryBytes) return malformed("too long");
  if (ReadU16(message, 4) != 1) return malformed("not exactly one question");
  const uint16_t additional = ReadU16(message, 10);
  if (ReadU16(message, 6) != 0 || ReadU16(message, 8) != 0 || additional > 1) {
    return malformed("records in a query");
  }

  const size_t end_of_name = EndOfQuestionName(message, kDnsHeaderBytes);
  if (end_of_name == 0) return malformed("name");
  if (message.size() - end_of_name < 4) return malformed("shorter than its question");
  DnsQuery query;
  query.id = ReadU16(message, 0);
  query.recursion_desired = (flags & kRecursionDesired) != 0;
  query.wire_name = message.substr(kDnsHeaderBytes, end_of_name - kDnsHeaderBytes);
  query.type = static_cast<DnsType>(ReadU16(message, end_of_name));
  if (ReadU16(message, end_of_name + 2) != kClassIn) {
    return Reject(message, DnsRcode::kRefused, "class");
  }

  std::string_view rest = message.substr(end_of_name + 4);
  if (additional == 1) {
    // Root name, type OPT, payload size, extended RCODE, version, flags, length of the options.
    if (rest.size() < kOptBytes || rest[0] != '\0' ||
        ReadU16(rest, 1) != static_cast<uint16_t>(DnsType::kOpt)) {
      return malformed("additional record");
    }
    const size_t options_bytes = ReadU16(rest, 9);
    if (rest.size() != kOptBytes + options_bytes) return malformed("length of OPT");
    if (!OptionsAreWellFormed(rest.substr(kOptBytes))) return malformed("EDNS options");
    if (rest[6] != 0) {
      BadDnsQuery bad = Reject(message, DnsRcode::kNoError, "EDNS version");
      WriteU16(1, 10, &bad.reply);
      AppendOurOpt(1, 0, &bad.reply);  // BADVERS is 16: the upper bits are in the OPT record.
      return bad;
    }
    query.edns = true;
    query.edns_flags = ReadU16(rest, 7) & kDnssecOk;
    query.max_reply_bytes = std::clamp<size_t>(ReadU16(rest, 3), 512, kMaxUdpReplyBytes);
  } else if (!rest.empty()) {
    return malformed("bytes after the end");
  }
  query.host = HostOf(query.wire_name);
  return query;
}

DnsRecord DnsRecord::Address(const IpAddress& address, uint32_t ttl) {
  return DnsRecord{
      .type = address.is_v4() ? DnsType::kA : DnsType::kAaaa,
      .ttl = ttl,
      .data = std::string(address.bytes().begin(), address.bytes().begin() + address.byte_length()),
      .owner = ""};
}

std::string BuildDnsReply(const DnsQuery& query, DnsRcode rcode, std::span<const DnsRecord> answers,
                          size_t max_bytes) {
  return BuildReply(query, static_cast<uint16_t>(rcode), answers, max_bytes);
}

std::string BuildDnsReply(const DnsQuery& query, DnsRcode rcode,
                          std::span<const DnsRecord> answers) {
  return BuildDnsReply(query, rcode, answers, query.max_reply_bytes);
}

std::string BuildNegativeDnsReply(const DnsQuery& query, DnsRcode rcode, uint32_t ttl) {
  std::string message = BuildDnsReply(query, rcode);
  std::string opt;
  if (query.edns) {
    opt = message.substr(message.size() - kOptBytes);
    message.resize(message.size() - kOptBytes);
  }
  AppendRecord(StartOfAuthority(ttl), &message);
  WriteU16(1, 8, &message);
  return message + opt;
}

std::string BuildTruncatedDnsReply(const DnsQuery& query) {
  return BuildReply(query, kTruncated, {}, query.max_reply_bytes);
}

void AppendOurOpt(uint8_t extended_rcode, uint16_t flags, std::string* message) {
  *message += '\0';
  AppendU16(static_cast<uint16_t>(DnsType::kOpt), message);
  AppendU16(kOurEdnsBytes, message);
  *message += static_cast<char>(extended_rcode);
  *message += '\0';  // Version.
  AppendU16(flags, message);
  AppendU16(0, message);  // No options.
}

std::string EncodeDnsName(std::string_view name) {
  std::string wire;
  for (const absl::string_view label : absl::StrSplit(ToAbsl(name), '.')) {
    wire += static_cast<char>(label.size());
    wire += ToStd(label);
  }
  wire += '\0';
  return wire;
}

bool SameDnsName(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(ToAbsl(a), ToAbsl(b));
}

uint16_t ReadU16(std::string_view message, size_t offset) {
  return static_cast<uint16_t>(static_cast<uint8_t>(message[offset]) << 8 |
                               static_cast<uint8_t>(message[offset + 1]));
}

uint32_t ReadU32(std::string_view message, size_t offset) {
  return static_cast<uint32_t>(ReadU16(message, offset)) << 16 | ReadU16(message, offset + 2);
}

void AppendU16(uint16_t value, std::string* message) {
  *message += static_cast<char>(value >> 8);
  *message += static_cast<char>(value & 0xff);
}

void AppendU32(uint32_t value, std::string* message) {
  AppendU16(static_cast<uint16_t>(value >> 16), message);
  AppendU16(static_cast<uint16_t>(value & 0xffff), message);
}

void WriteU16(uint16_t value, size_t offset, std::string* message) {
  (*message)[offset] = static_cast<char>(value >> 8);
  (*message)[offset + 1] = static_cast<char>(value & 0xff);
}

void WriteU32(uint32_t value, size_t offset, std::string* message) {
  WriteU16(static_cast<uint16_t>(value >> 16), offset, message);
  WriteU16(static_cast<uint16_t>(value & 0xffff), offset + 2, message);
}

}  // namespace sallyport::proxy
