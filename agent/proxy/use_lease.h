// Decisions that a handler has leased, as the trip uses them.

#ifndef SALLYPORT_AGENT_PROXY_USE_LEASE_H_
#define SALLYPORT_AGENT_PROXY_USE_LEASE_H_

#include <memory>

#include "agent/proxy/exchange.h"
#include "agent/proxy/handlers/lease_table.h"

namespace sallyport::proxy {

// What the handler has decided on such a request before, or null. `handler` is registered, and `by`
// what the policy says at this moment: a lease decides in the handler's place and never in the
// policy's.
std::shared_ptr<const LeasedAnswer> FindLease(const Exchange& exchange, const AskedBy& by,
                                              const HandlerSpec& handler);

// Keeps what the handler decided on this request for further ones, unless policy or registration
// have changed since it was asked. Nothing is kept of a path whose meaning depends on the server,
// and a response to HEAD, which lacks what GET would be answered, for HEAD alone.
void GrantLease(const Exchange& exchange, const AskedBy& by, const HandlerSpec& handler,
                LeaseTerms terms, std::variant<Forward, LeasedResponse> answer);

// After a change of policy or of handlers: ends the leases that would be decided otherwise now.
void DropLeases(Container& container);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_USE_LEASE_H_
