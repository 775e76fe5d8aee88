// W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to.

#ifndef SALLYPORT_AGENT_PROXY_TRACE_H_
#define SALLYPORT_AGENT_PROXY_TRACE_H_

#include <string_view>

#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// Gives a request that has no `traceparent` one: version 00, random ids, sampled. One that is there
// stays, legal or not: what it means is for its sender and its receiver to say.
void StartTrace(Headers* headers);

// The trace id of the request's only `traceparent`: 32 hexadecimal digits, within `headers`. Empty:
// there is none, or more than one, or it is not legal (section 3.2.2; versions after 00 may have
// more behind).
std::string_view TraceId(const Headers& headers);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TRACE_H_
