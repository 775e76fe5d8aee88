// One attempt to have a request answered by its origin, over one connection.

#ifndef SALLYPORT_AGENT_PROXY_ASK_ORIGIN_H_
#define SALLYPORT_AGENT_PROXY_ASK_ORIGIN_H_

#include <memory>
#include <string_view>
#include <variant>

#include "agent/proxy/body_pump.h"
#include "agent/proxy/connect_origin.h"
#include "agent/proxy/egress.h"
#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// Everything outlives the attempt.
struct Attempt {
  const Exchange& exchange;
  OriginRequest& request;
  OriginConnection& connection;
  const std::string_view first;  // Of the container's body: what was read already.
  Mediation* const mediation;    // Null: none.
  // Null the first time, and taken over from an attempt that ended in a Retry.
  std::shared_ptr<BodyPump>& pump;
};

// The request is to be sent once more, over another connection.
struct Retry {
  bool over_http1 = false;  // The origin takes it over HTTP/1.1 only.
};
// The origin agreed to a WebSocket; nothing has been answered yet.
struct Switched {
  Outcome outcome;
  ResponseHead answer;
};
using Sent = std::variant<Retry, Outcome, OriginFailure, Denial, Switched>;

// Sends the request and streams the answer back; see SendToOrigin. `outcome` is what is known of it
// so far. An Outcome: the container was answered, or is gone. Else nothing has been answered, and
// whoever reads the container's body still does.
Task<Sent> AskOrigin(Attempt attempt, Outcome outcome);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ASK_ORIGIN_H_
