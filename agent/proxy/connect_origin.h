// Finds or makes a connection to an origin, of whichever version of HTTP it speaks.

#ifndef SALLYPORT_AGENT_PROXY_CONNECT_ORIGIN_H_
#define SALLYPORT_AGENT_PROXY_CONNECT_ORIGIN_H_

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "agent/proxy/container.h"

namespace sallyport::proxy {

// origin_timeout is answered with 504, the others with 502.
OriginFailure OriginFailureOf(std::string_view reason, std::string detail);

using OriginConnected = std::variant<std::unique_ptr<OriginConnection>, Denial, OriginFailure>;

// Whether a connection that is there is taken, if its address is still permitted.
enum class Pooled {
  kWelcome,  // Should the origin have closed it just now, the request is sent once more.
  kUnwanted,
  kWelcomeIfAlive,  // The request cannot be sent twice.
};
// One that is there, or null.
std::unique_ptr<OriginConnection> TakePooled(Container& container, const OriginKey& key,
                                             Pooled pooled);
// Makes a connection, or a stream of one, that carries one exchange. As long as the origin may
// speak HTTP/2, all who want it wait for one connection to be made and share it; if it turns out to
// speak HTTP/1.1, each makes its own.
Task<OriginConnected> ConnectToOrigin(ContainerPtr container, OriginKey key, Pooled pooled);
// A stream for a WebSocket over an HTTP/2 connection that is there already and takes them, or null.
std::unique_ptr<OriginConnection> TakeForWebSocket(Container& container, const OriginKey& key);

// Returns when it is known which HTTP an origin speaks, or at `deadline`, or when it is not
// reachable. The connection that told is in the pool, for the first request. REQUIRES: key.http is
// kByAlpn.
Task<void> LearnOriginHttp(ContainerPtr container, OriginKey key, SteadyTime deadline);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONNECT_ORIGIN_H_
