// What a resolver answered, checked before any of it is used or handed on.

#ifndef SALLYPORT_AGENT_PROXY_DNS_UPSTREAM_ANSWER_H_
#define SALLYPORT_AGENT_PROXY_DNS_UPSTREAM_ANSWER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/dns/message.h"
#include "common/net/address.h"

namespace sallyport::proxy {

// Longer upstream TTLs are cut: a change of policy shall show within minutes. Seconds.
inline constexpr uint32_t kMaxDnsTtl = 300;
// The same for what does not exist (RFC 2308 section 5 allows hours): somebody may wait for it to
// appear.
inline constexpr uint32_t kMaxNegativeDnsTtl = 60;

struct DnsAddresses {
  std::vector<IpAddress> addresses;
  uint32_t ttl = 0;  // The least of the chain, at most kMaxDnsTtl.
};

// A value. Only the answer section is handed on. Of the rest only the SOA record of a negative
// answer is looked at.
class UpstreamAnswer {
 public:
  // DATA_LOSS unless `message` is an answer to exactly this question. `wire_name` is compared
  // without regard to case.
  static absl::StatusOr<UpstreamAnswer> Parse(std::string message, std::string_view wire_name,
                                              DnsType type);

  DnsRcode rcode() const { return rcode_; }
  bool has_records() const { return !records_.empty(); }
  // No such name, or no record of the asked type.
  bool is_negative() const;
  // For how many seconds the answer may be kept. 0: it must not be; also for a negative answer
  // without SOA (RFC 2308 section 5).
  uint32_t lifetime() const;
  // Takes the seconds that the answer was kept off every TTL.
  void Age(uint32_t seconds);
  // About how much memory it takes.
  size_t memory_bytes() const;
  // The addresses of the asked type that the name leads to over its CNAMEs.
  // REQUIRES: the question's type is A or AAAA.
  DnsAddresses Addresses() const;
  // The answer for `query`, TTLs cut; truncated if it is larger than the client takes. DATA_LOSS if
  // the answer section holds records that the question does not ask for. REQUIRES: `query` asks the
  // question of Parse.
  absl::StatusOr<std::string> PassOn(const DnsQuery& query) const;

 private:
  struct Record {
    std::string owner;  // On the wire, uncompressed.
    DnsType type;
    uint32_t ttl;
    size_t ttl_offset;
    size_t data_offset;
    size_t data_bytes;
  };

  std::string message_;
  std::string wire_name_;
  DnsType type_ = DnsType::kA;
  DnsRcode rcode_ = DnsRcode::kNoError;
  std::vector<Record> records_;
  size_t end_of_answers_ = 0;
  uint32_t negative_ttl_ = 0;  // Of the SOA record, if there is one.
};

// Reads the name at *offset, following compression pointers, which must lead backwards, and moves
// *offset behind it. DATA_LOSS if malformed.
absl::StatusOr<std::string> ReadDnsName(std::string_view message, size_t* offset);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_UPSTREAM_ANSWER_H_
