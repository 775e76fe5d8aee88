// Which addresses are the host's own.

#ifndef SALLYPORT_AGENT_PROXY_THIS_HOST_H_
#define SALLYPORT_AGENT_PROXY_THIS_HOST_H_

#include "common/net/address.h"

namespace sallyport::proxy {

// Whether a connection to the address would end on this host, whichever interface has it: what
// listens there may take the agent for somebody local. Asks the kernel; nothing is sent. True, too,
// if there is no descriptor to ask with.
bool IsThisHost(const IpAddress& address);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_THIS_HOST_H_
