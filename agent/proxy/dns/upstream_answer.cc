#include "agent/proxy/dns/upstream_answer.h"

#include <algorithm>
#include <array>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr uint16_t kClassIn = 1;
constexpr int kMaxCnames = 16;

// Bits of the second header word that are kept: QR, TC, RA, RCODE. AA and AD would be claims of
// ours.
constexpr uint16_t kKeptFlags = 0x8000 | 0x0200 | 0x0080 | 0x000f;
constexpr uint16_t kRecursionDesired = 0x0100;

absl::Status Malformed(std::string_view what) {
  return absl::DataLossError(StrCat("malformed answer of a resolver: ", what));
}

// RFC 2181 section 8: a TTL with the highest bit set is zero.
uint32_t Ttl(std::string_view message, size_t offset) {
  const uint32_t ttl = ReadU32(message, offset);
  return (ttl & 0x80000000u) != 0 ? 0 : ttl;
}

// What an SOA record in the authority section, which begins at `offset`, says of negative answers
// (RFC 2308 section 5). 0: there is none.
uint32_t NegativeTtl(std::string_view message, size_t offset) {
  constexpr size_t kNumbers = 5 * 4;  // SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM.
  for (uint16_t left = ReadU16(message, 8); left > 0; --left) {
    if (!ReadDnsName(message, &offset).ok() || message.size() - offset < 10) return 0;
    const auto type = static_cast<DnsType>(ReadU16(message, offset));
    const uint32_t ttl = Ttl(message, offset + 4);
    const size_t end = offset + 10 + ReadU16(message, offset + 8);
    if (end > message.size()) return 0;
    if (type == DnsType::kSoa) {
      size_t at = offset + 10;
      const bool named = ReadDnsName(message, &at).ok() && ReadDnsName(message, &at).ok();
      if (!named || at + kNumbers != end) return 0;
      return std::min({ttl, Ttl(message, end - 4), kMaxNegativeDnsTtl});
    }
    offset = end;
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::string> ReadDnsName(std::string_view message, size_t* offset) {
  std::string name;
  size_t at = *offset;
  // What a pointer leads to must begin and end before everything that was read of this name, so
  // there is no loop.
  size_t begin = at;
  size_t end = message.size();
  bool followed = false;
  while (at < end) {
    const uint8_t length = static_cast<uint8_t>(message[at]);
    if (length >= 0xc0) {
      if (end - at < 2) break;
      const size_t target = ReadU16(message, at) & 0x3fff;
      if (!followed) *offset = at + 2;
      followed = true;
      if (target >= begin) return Malformed("a compression pointer that leads forward");
      if (target < kDnsHeaderBytes) return Malformed("a compression pointer into the header");
      end = begin;
      at = begin = target;
      continue;
    }
    if (length > 63) return Malformed("label type");
    if (end - at < 1u + length) break;
    name += message.substr(at, 1u + length);
    at += 1u + length;
    if (name.size() > kMaxDnsNameBytes) return Malformed("a name of more than 255 bytes");
    if (length == 0) {
      if (!followed) *offset = at;
      return name;
    }
  }
  return Malformed("a name that does not end");
}

absl::StatusOr<UpstreamAnswer> UpstreamAnswer::Parse(std::string message,
                                                     std::string_view wire_name, DnsType type) {
  if (message.size() < kDnsHeaderBytes) return Malformed("shorter than a header");
  const uint16_t flags = ReadU16(message, 2);
  if ((flags & 0x8000) == 0 || (flags & 0x7800) != 0) return Malformed("not an answer");
  if (ReadU16(message, 4) != 1) return Malformed("not exactly one question");

  size_t offset = kDnsHeaderBytes;
  ASSIGN_OR_RETURN(const std::string asked, ReadDnsName(message, &offset));
  // Uncompressed as well as the same, so that the client's spelling fits into its place.
  if (!SameDnsName(asked, wire_name) || offset != kDnsHeaderBytes + asked.size()) {
    return Malformed("another question");
  }
  if (message.size() - offset < 4 || ReadU16(message, offset) != static_cast<uint16_t>(type) ||
      ReadU16(message, offset + 2) != kClassIn) {
    return Malformed("another question");
  }
  offset += 4;

  UpstreamAnswer answer;
  const uint16_t count = ReadU16(message, 6);
  for (uint16_t i = 0; i < count; ++i) {
    Record record;
    ASSIGN_OR_RETURN(record.owner, ReadDnsName(message, &offset));
    if (message.size() - offset < 10) return Malformed("a record that does not end");
    record.type = static_cast<DnsType>(ReadU16(message, offset));
    if (ReadU16(message, offset + 2) != kClassIn) return Malformed("a record of another class");
    record.ttl_offset = offset + 4;
    record.ttl = std::min(Ttl(message, record.ttl_offset), kMaxDnsTtl);
    record.data_bytes = ReadU16(message, offset + 8);
    record.data_offset = offset + 10;
    if (message.size() - record.data_offset < record.data_bytes) {
      return Malformed("a record that does not end");
    }
    offset = record.data_offset + record.data_bytes;
    answer.records_.push_back(std::move(record));
  }
  answer.end_of_answers_ = offset;
  answer.negative_ttl_ = NegativeTtl(message, offset);
  answer.message_ = std::move(message);
  answer.wire_name_ = wire_name;
  answer.type_ = type;
  answer.rcode_ = static_cast<DnsRcode>(flags & 0x000f);
  return answer;
}

bool UpstreamAnswer::is_negative() const {
  return rcode_ == DnsRcode::kNxDomain ||
         std::none_of(records_.begin(), records_.end(),
                      [this](const Record& record) { return record.type == type_; });
}

uint32_t UpstreamAnswer::lifetime() const {
  uint32_t least = is_negative() ? negative_ttl_ : kMaxDnsTtl;
  for (const Record& record : records_) least = std::min(least, record.ttl);
  return least;
}

void UpstreamAnswer::Age(uint32_t seconds) {
  const auto age = [seconds](uint32_t& ttl) { ttl -= std::min(ttl, seconds); };
  for (Record& record : records_) age(record.ttl);
  age(negative_ttl_);
}

size_t UpstreamAnswer::memory_bytes() const {
  size_t bytes = sizeof(*this) + message_.size() + wire_name_.size();
  for (const Record& record : records_) bytes += sizeof(record) + record.owner.size();
  return bytes;
}

DnsAddresses UpstreamAnswer::Addresses() const {
  DnsAddresses result;
  uint32_t ttl = kMaxDnsTtl;
  std::string name = wire_name_;
  for (int i = 0; i <= kMaxCnames; ++i) {
    const Record* alias = nullptr;
    for (const Record& record : records_) {
      if (!SameDnsName(record.owner, name)) continue;
      if (record.type == DnsType::kCname) alias = &record;
      if (record.type != type_) continue;
      const auto* data = reinterpret_cast<const uint8_t*>(message_.data()) + record.data_offset;
      if (type_ == DnsType::kA && record.data_bytes == 4) {
        std::array<uint8_t, 4> bytes;
        std::copy_n(data, bytes.size(), bytes.begin());
        result.addresses.push_back(IpAddress::FromV4Bytes(bytes));
      } else if (type_ == DnsType::kAaaa && record.data_bytes == 16) {
        std::array<uint8_t, 16> bytes;
        std::copy_n(data, bytes.size(), bytes.begin());
        result.addresses.push_back(IpAddress::FromV6Bytes(bytes));
      } else {
        continue;
      }
      ttl = std::min(ttl, record.ttl);
    }
    if (!result.addresses.empty() || alias == nullptr) break;
    size_t offset = alias->data_offset;
    absl::StatusOr<std::string> target = ReadDnsName(message_, &offset);
    if (!target.ok() || offset != alias->data_offset + alias->data_bytes) break;
    ttl = std::min(ttl, alias->ttl);
    name = *std::move(target);
  }
  result.ttl = ttl;
  return result;
}

absl::StatusOr<std::string> UpstreamAnswer::PassOn(const DnsQuery& query) const {
  for (const Record& record : records_) {
    if (record.type != type_ && record.type != DnsType::kCname && record.type != DnsType::kDname &&
        record.type != DnsType::kRrsig) {
      return Malformed("records that were not asked for");
    }
  }
  // Compression pointers lead backwards only, so the message may be cut after its answer section.
  std::string reply = message_.substr(0, end_of_answers_);
  WriteU16(query.id, 0, &reply);
  uint16_t flags = ReadU16(reply, 2) & kKeptFlags;
  if (query.recursion_desired) flags |= kRecursionDesired;
  WriteU16(flags, 2, &reply);
  WriteU16(0, 8, &reply);
  WriteU16(query.edns ? 1 : 0, 10, &reply);
  reply.replace(kDnsHeaderBytes, query.wire_name.size(), query.wire_name);
  for (const Record& record : records_) WriteU32(record.ttl, record.ttl_offset, &reply);
  // A compression pointer into a TTL would mean something else now.
  ASSIGN_OR_RETURN(const UpstreamAnswer rewritten, Parse(reply, query.wire_name, type_));
  for (size_t i = 0; i < records_.size(); ++i) {
    if (!SameDnsName(rewritten.records_[i].owner, records_[i].owner)) {
      return Malformed("a name inside another record's header");
    }
  }
  if (query.edns) AppendOurOpt(0, query.edns_flags, &reply);
  if (reply.size() > query.max_reply_bytes) return BuildTruncatedDnsReply(query);
  return reply;
}

}  // namespace sallyport::proxy
