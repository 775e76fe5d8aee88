// What a handler is told first.

#ifndef SALLYPORT_AGENT_PROXY_HANDLER_START_H_
#define SALLYPORT_AGENT_PROXY_HANDLER_START_H_

#include "agent/proxy/exchange.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// The request's head, and who asks.
v1::HandleRequest StartMessage(const Exchange& exchange, const AskedBy& by);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLER_START_H_
