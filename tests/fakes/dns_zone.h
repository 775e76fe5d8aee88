// The data of the fake DNS server.

#ifndef SALLYPORT_TESTS_FAKES_DNS_ZONE_H_
#define SALLYPORT_TESTS_FAKES_DNS_ZONE_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/dns/message.h"

namespace sallyport::fakes {

// Lines `NAME [TTL] TYPE DATA`, `#` begins a comment. NAME: a name, `*.SUFFIX`, or `*`; an exact
// name hides wildcards, a longer wildcard a shorter one. TTL: seconds, 60 by default. TYPE and
// DATA:
//
//   api.test     A        203.0.113.10
//   api.test     AAAA     2001:db8::10
//   www.test     CNAME    api.test
//   api.test     TXT      one string, up to 255 bytes
//   api.test     MX       10 mail.test
//   4.3.2.1.in-addr.arpa  PTR  api.test
//   *            SOA      30                     negative answers may be kept for 30 s
//
// and faults, `NAME FAULT [TYPE]`, for queries of that type or of all: DROP (no answer), SERVFAIL,
// REFUSED, TRUNCATE (UDP answers are empty and say so), OTHER (the answer is to another question).
class DnsZone {
 public:
  enum class Fault { kNone, kDrop, kServFail, kRefused, kTruncate, kOther };
  struct Answer {
    Fault fault = Fault::kNone;
    bool name_exists = false;
    uint32_t negative_ttl = 0;  // Seconds; 0: negative answers carry no SOA record.
    std::vector<proxy::DnsRecord> records;
  };

  static absl::StatusOr<DnsZone> Parse(std::string_view text);
  // `name`: lower case, without trailing dot. Aliases are followed.
  Answer Find(const std::string& name, proxy::DnsType type) const;

 private:
  struct Node {
    Fault fault = Fault::kNone;
    std::string fault_type;  // As DnsTypeName; empty: every type.
    std::string alias;
    std::vector<proxy::DnsRecord> records;
  };
  absl::Status AddLine(const std::vector<std::string>& words);
  const Node* Lookup(const std::string& name) const;

  std::map<std::string, Node> nodes_;
  uint32_t negative_ttl_ = 0;
};

}  // namespace sallyport::fakes

#endif  // SALLYPORT_TESTS_FAKES_DNS_ZONE_H_
