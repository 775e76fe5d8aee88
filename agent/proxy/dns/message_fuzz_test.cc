#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "agent/proxy/dns/message.h"
#include "common/base/check.h"

using sallyport::proxy::BadDnsQuery;
using sallyport::proxy::BuildDnsReply;
using sallyport::proxy::BuildNegativeDnsReply;
using sallyport::proxy::DnsQuery;
using sallyport::proxy::DnsRcode;
using sallyport::proxy::EncodeDnsName;
using sallyport::proxy::ParseDnsQuery;
using sallyport::proxy::SameDnsName;

// What is accepted can be answered within the client's limit; what is refused never gets an answer
// that asks for another.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const std::variant<DnsQuery, BadDnsQuery> parsed = ParseDnsQuery(message);
  if (const BadDnsQuery* bad = std::get_if<BadDnsQuery>(&parsed)) {
    const std::variant<DnsQuery, BadDnsQuery> again = ParseDnsQuery(bad->reply);
    SALLYPORT_CHECK(std::get<BadDnsQuery>(again).reply.empty());
    return 0;
  }
  const DnsQuery& query = std::get<DnsQuery>(parsed);
  const std::string reply = BuildDnsReply(query, DnsRcode::kNxDomain);
  SALLYPORT_CHECK(reply.size() <= query.max_reply_bytes);
  SALLYPORT_CHECK(reply.substr(12, query.wire_name.size()) ==
                  message.substr(12, query.wire_name.size()));
  const std::string negative = BuildNegativeDnsReply(query, DnsRcode::kNoError, 60);
  SALLYPORT_CHECK(negative.size() <= query.max_reply_bytes);
  if (query.host.has_value()) {
    SALLYPORT_CHECK(SameDnsName(EncodeDnsName(query.host->text()), query.wire_name));
  }
  return 0;
}
