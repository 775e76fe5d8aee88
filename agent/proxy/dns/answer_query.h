// Answers one query of a container, whichever transport it came over.

#ifndef SALLYPORT_AGENT_PROXY_DNS_ANSWER_QUERY_H_
#define SALLYPORT_AGENT_PROXY_DNS_ANSWER_QUERY_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "agent/proxy/dns/answer.h"
#include "agent/proxy/dns/container_dns.h"
#include "agent/proxy/dns/resolver.h"

namespace sallyport::proxy {

struct DnsServerOptions {
  std::string container_id;
  // The policy in force now; null: none yet, everything is refused (REFUSED).
  std::function<std::shared_ptr<const EffectivePolicy>()> policy;
  // The container's own.
  Resolver* resolver = nullptr;
  std::shared_ptr<ContainerDns> dns;
  const OpenRanges* open_ranges = nullptr;
  // Called for each refused query (for audit): name, or "" if malformed, and why: an audit reason,
  // bad_name, not_supported, malformed, overloaded or dns_tunnel. May be null.
  std::function<void(std::string_view name, std::string_view reason)> on_refused;
  // Called for each query that only monitor mode lets pass. May be null.
  std::function<void(std::string_view name, std::string_view would_deny)> on_monitored = {};
  size_t max_in_flight = 256;
};

// The answer as far as it needs nobody. Takes the query off the container's budget.
std::variant<DnsReply, AskUpstream> AnswerAtOnce(const DnsServerOptions& options,
                                                 const DnsQuery& query);
// The answer to what AnswerAtOnce did not answer. `options` outlive it.
Task<DnsReply> AnswerByAsking(const DnsServerOptions* options, DnsQuery query);

// Tells `on_refused` or `on_monitored`, if it has to.
void Report(const DnsServerOptions& options, const DnsQuery& query, const DnsReply& reply);

// What to send for what is no query; empty: nothing. Tells `on_refused`.
std::string AnswerMalformed(const DnsServerOptions& options, const BadDnsQuery& bad);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_ANSWER_QUERY_H_
