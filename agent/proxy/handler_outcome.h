// How a request ends that was put to a handler, whichever way the handler was asked.

#ifndef SALLYPORT_AGENT_PROXY_HANDLER_OUTCOME_H_
#define SALLYPORT_AGENT_PROXY_HANDLER_OUTCOME_H_

#include "agent/proxy/egress.h"
#include "agent/proxy/handler_failure.h"
#include "common/policy/handler_spec.h"

namespace sallyport::proxy {

// The handler, asked by `rule`, forwards: sends `request` on, if the policy of this moment lets it
// go there. With a `mediation` the handler stays in its way.
Task<Outcome> SendForwarded(const Exchange& exchange, OriginRequest request,
                            const std::string& rule, Mediation* mediation = nullptr);

// The handler failed: refuses the request, or cuts the response off that has begun. With
// ON_FAILURE_EGRESS, if nothing was answered and the handler was given nothing of the body, the
// request goes on as if no handler rule had matched. A handler that is busy has not failed.
Task<Outcome> FailHandler(const Exchange& exchange, const HandlerSpec& handler,
                          HandlerFailure failure, bool body_touched);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLER_OUTCOME_H_
