// DNS over one TCP connection of a container (RFC 7766).

#ifndef SALLYPORT_AGENT_PROXY_DNS_STREAM_SERVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_STREAM_SERVER_H_

#include "agent/proxy/dns/answer_query.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Answers one query after the other, by the same rules as over UDP, until the client ends, is idle
// for ten seconds, or sends what is no query. `options` (max_in_flight aside) and `stream` outlive
// the returned task.
Task<void> ServeDnsStream(const DnsServerOptions* options, Stream* stream);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_STREAM_SERVER_H_
