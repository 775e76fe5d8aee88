#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "agent/proxy/dns/message.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "common/base/check.h"

using sallyport::Host;
using sallyport::proxy::DnsQuery;
using sallyport::proxy::DnsType;
using sallyport::proxy::EncodeDnsName;
using sallyport::proxy::kMaxDnsTtl;
using sallyport::proxy::ReadU16;
using sallyport::proxy::UpstreamAnswer;

// Whatever a resolver sends, what is passed on is a whole answer to the client's own question that
// fits.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string message(reinterpret_cast<const char*>(data), size);
  DnsQuery query;
  query.wire_name = EncodeDnsName("aPi.tEst");
  query.host = *Host::Parse("api.test");
  query.edns = size % 2 == 1;
  for (const DnsType type : {DnsType::kA, DnsType::kAaaa, DnsType::kTxt, DnsType::kMx}) {
    query.type = type;
    auto answer = UpstreamAnswer::Parse(message, EncodeDnsName("api.test"), type);
    if (!answer.ok()) continue;
    SALLYPORT_CHECK(answer->lifetime() <= kMaxDnsTtl);
    answer->Age(size);
    const size_t address_bytes = type == DnsType::kA ? 4 : 16;
    SALLYPORT_CHECK(answer->Addresses().addresses.size() <= size / address_bytes);
    const absl::StatusOr<std::string> reply = answer->PassOn(query);
    if (!reply.ok()) continue;
    SALLYPORT_CHECK(reply->size() <= query.max_reply_bytes);
    SALLYPORT_CHECK(reply->substr(12, query.wire_name.size()) == query.wire_name);
    SALLYPORT_CHECK(ReadU16(*reply, 10) == (query.edns ? 1 : 0));
    SALLYPORT_CHECK(UpstreamAnswer::Parse(*reply, query.wire_name, type).ok());
  }
  return 0;
}
