// Carries out what a built-in handler says (common/builtin/evaluate.h).

#ifndef SALLYPORT_AGENT_PROXY_RUN_BUILTIN_H_
#define SALLYPORT_AGENT_PROXY_RUN_BUILTIN_H_

#include <memory>

#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// A secret that is not there is a 502, never egress. What it forwards goes the way of every
// handler's forward. REQUIRES: handler->builtin is not null.
Task<Outcome> RunBuiltin(const Exchange& exchange, ToHandler verdict,
                         std::shared_ptr<const HandlerSpec> handler);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_RUN_BUILTIN_H_
