// Connected pairs of real sockets, for tests.

#ifndef SALLYPORT_AGENT_PROXY_TESTING_SOCKETS_H_
#define SALLYPORT_AGENT_PROXY_TESTING_SOCKETS_H_

#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// Blocking ones.
struct Sockets {
  UniqueFd a, b;
};
Sockets UnixPair();
// Over loopback.
Sockets TcpPair();

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TESTING_SOCKETS_H_
