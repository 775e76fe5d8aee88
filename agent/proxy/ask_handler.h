// Asks the handler that a rule names, and does what it answers.

#ifndef SALLYPORT_AGENT_PROXY_ASK_HANDLER_H_
#define SALLYPORT_AGENT_PROXY_ASK_HANDLER_H_

#include <memory>

#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// A handler that is missing, unreachable, late or breaks its contract is a 502 or 504, never
// egress, unless it was registered with ON_FAILURE_EGRESS, failed before it answered, and read
// nothing of the body. `handler`: of the name that the verdict refers to; null: there is none.
Task<Outcome> AskHandler(const Exchange& exchange, ToHandler verdict,
                         std::shared_ptr<const HandlerSpec> handler);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ASK_HANDLER_H_
