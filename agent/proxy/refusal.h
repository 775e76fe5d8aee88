// Answers that say no (semantics section 6).

#ifndef SALLYPORT_AGENT_PROXY_REFUSAL_H_
#define SALLYPORT_AGENT_PROXY_REFUSAL_H_

#include "agent/proxy/admission.h"
#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// Policy says no: the class's deny response, with its reason.
Task<Outcome> RefuseByPolicy(const Exchange& exchange, Denial denial);

// The request itself is at fault; the connection is closed after the answer.
Task<Outcome> RefuseRequest(const ClientConnection& client, Refusal refusal);

// 407: a request to an explicit proxy without the container's credential, or with a wrong one.
Task<Outcome> DemandCredential(const ClientConnection& client, std::string detail);

// Why there will be no tunnel, by an audit reason: the class's deny response if policy says so,
// else 502 to 504. Returns the status.
Task<int> RefuseForReason(ServerExchange* http, const EffectivePolicy* policy,
                          std::string_view reason);

// There is no room for it: 429 or 503, and when to try again.
Task<Outcome> RefuseOverBudget(const Exchange& exchange, OverBudget over);

// A response that is made here. The body is dropped where a response has none.
Task<absl::Status> AnswerHere(const Exchange& exchange, ResponseHead head, std::string_view body);

// An origin or a handler failed (502, 504), or this host (503, whatever `status`): if no response
// has begun, else the response is cut off, so that the client sees an error. `detail` is for the
// audit record only: the container learns the reason's name and nothing else.
Task<Outcome> AnswerFailure(const Exchange& exchange, int status, std::string_view reason,
                            std::string detail);

// The request's body broke off or was badly framed after its head had been accepted: 400 if the
// client can still be told, and the connection ends. Whoever got the beginning of the body knows
// that it is not whole.
Task<Outcome> RefuseBody(const Exchange& exchange, absl::Status status);

// Ends a connection so that an answer already sent is not lost to a reset: stops writing, and reads
// for a moment.
Task<void> LingeringClose(Stream* stream);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_REFUSAL_H_
