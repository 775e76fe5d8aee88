#include "tests/fakes/dns_zone.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/net/address.h"

namespace sallyport::fakes {
namespace {

using proxy::DnsRecord;
using proxy::DnsType;

constexpr uint32_t kDefaultTtl = 60;
constexpr int kMaxAliases = 8;

absl::StatusOr<DnsRecord> ParseRecord(const std::string& type, const std::string& data,
                                      uint32_t ttl) {
  if (type == "A" || type == "AAAA") {
    ASSIGN_OR_RETURN(const IpAddress address, IpAddress::Parse(data));
    if (address.is_v4() != (type == "A")) return absl::InvalidArgumentError("another family");
    return DnsRecord::Address(address, ttl);
  }
  DnsRecord record;
  record.ttl = ttl;
  if (type == "TXT") {
    if (data.size() > 255) return absl::InvalidArgumentError("TXT longer than 255 bytes");
    record.type = DnsType::kTxt;
    record.data = static_cast<char>(data.size()) + data;
  } else if (type == "CNAME" || type == "PTR" || type == "NS") {
    record.type = type == "CNAME" ? DnsType::kCname : type == "PTR" ? DnsType::kPtr : DnsType::kNs;
    record.data = proxy::EncodeDnsName(data);
  } else if (type == "MX") {
    const std::pair<std::string, std::string> parts = absl::StrSplit(data, absl::MaxSplits(' ', 1));
    uint32_t preference;
    if (!absl::SimpleAtoi(parts.first, &preference)) return absl::InvalidArgumentError("MX");
    record.type = DnsType::kMx;
    proxy::AppendU16(static_cast<uint16_t>(preference), &record.data);
    record.data += proxy::EncodeDnsName(parts.second);
  } else {
    return absl::InvalidArgumentError(StrCat("type ", type, " is not known here"));
  }
  return record;
}

}  // namespace

absl::StatusOr<DnsZone> DnsZone::Parse(std::string_view text) {
  DnsZone zone;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(text), '\n')) {
    ++number;
    const std::string content(line.substr(0, line.find('#')));
    const std::vector<std::string> words =
        absl::StrSplit(content, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    const absl::Status added = zone.AddLine(words);
    if (!added.ok()) {
      return absl::InvalidArgumentError(
          StrCat("zone line ", number, " (", content, "): ", ToStd(added.message())));
    }
  }
  return zone;
}

absl::Status DnsZone::AddLine(const std::vector<std::string>& words) {
  static const auto* const faults = new std::map<std::string, Fault>{
      {"DROP", Fault::kDrop},         {"SERVFAIL", Fault::kServFail}, {"REFUSED", Fault::kRefused},
      {"TRUNCATE", Fault::kTruncate}, {"OTHER", Fault::kOther},
  };
  size_t at = 1;
  uint32_t ttl = kDefaultTtl;
  if (words.size() > at && absl::SimpleAtoi(words[at], &ttl)) {
    ++at;
  } else {
    ttl = kDefaultTtl;
  }
  if (words.size() <= at) return absl::InvalidArgumentError("write NAME [TTL] TYPE DATA");
  const std::string& type = words[at];
  if (type == "SOA") {
    if (words[0] != "*" || words.size() != at + 2 ||
        !absl::SimpleAtoi(words[at + 1], &negative_ttl_)) {
      return absl::InvalidArgumentError("write * SOA SECONDS");
    }
    return absl::OkStatus();
  }
  Node& node = nodes_[absl::AsciiStrToLower(words[0])];
  if (const auto fault = faults->find(type); fault != faults->end()) {
    node.fault = fault->second;
    node.fault_type = words.size() > at + 1 ? words[at + 1] : "";
    return absl::OkStatus();
  }
  const std::string data = absl::StrJoin(words.begin() + at + 1, words.end(), " ");
  ASSIGN_OR_RETURN(DnsRecord record, ParseRecord(type, data, ttl));
  if (record.type == DnsType::kCname) node.alias = absl::AsciiStrToLower(data);
  node.records.push_back(std::move(record));
  return absl::OkStatus();
}

const DnsZone::Node* DnsZone::Lookup(const std::string& name) const {
  if (const auto found = nodes_.find(name); found != nodes_.end()) return &found->second;
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const auto found = nodes_.find("*" + name.substr(dot));
    if (found != nodes_.end()) return &found->second;
  }
  const auto found = nodes_.find("*");
  return found == nodes_.end() ? nullptr : &found->second;
}

DnsZone::Answer DnsZone::Find(const std::string& name, DnsType type) const {
  Answer answer;
  answer.negative_ttl = negative_ttl_;
  std::string current = name;
  for (int i = 0; i < kMaxAliases; ++i) {
    const Node* node = Lookup(current);
    if (node == nullptr) break;
    answer.name_exists = true;
    const bool fails = node->fault_type.empty() || node->fault_type == proxy::DnsTypeName(type);
    if (answer.fault == Fault::kNone && fails) answer.fault = node->fault;
    const bool follow = !node->alias.empty() && type != DnsType::kCname;
    for (const DnsRecord& record : node->records) {
      if (record.type != (follow ? DnsType::kCname : type)) continue;
      answer.records.push_back(record);
      if (current != name) answer.records.back().owner = proxy::EncodeDnsName(current);
    }
    if (!follow) break;
    current = node->alias;
  }
  return answer;
}

}  // namespace sallyport::fakes
