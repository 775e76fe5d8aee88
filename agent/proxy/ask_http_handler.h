// Asks a handler that is a plain web server (docs/http-handlers.md), and does what it answers.

#ifndef SALLYPORT_AGENT_PROXY_ASK_HTTP_HANDLER_H_
#define SALLYPORT_AGENT_PROXY_ASK_HTTP_HANDLER_H_

#include <memory>

#include "agent/proxy/exchange.h"
#include "common/policy/handler_spec.h"

namespace sallyport::proxy {

// As AskHandler; `budget` counts the call. `deadline`: for its answer's beginning. Without a body
// to send that holds from the request's head, else from each of its pieces anew.
Task<Outcome> AskHttpHandler(const Exchange& exchange, const AskedBy& by,
                             std::shared_ptr<const HandlerSpec> handler, Gauge::Token budget,
                             SteadyTime deadline);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ASK_HTTP_HANDLER_H_
