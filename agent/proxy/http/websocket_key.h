// The handshake's proof that a server of HTTP/1.1 knows WebSockets (RFC 6455 section 4). HTTP/2 has
// none (RFC 8441 section 5): a proxy between the two makes it on one side and checks it on the
// other.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_WEBSOCKET_KEY_H_
#define SALLYPORT_AGENT_PROXY_HTTP_WEBSOCKET_KEY_H_

#include <string>
#include <string_view>

namespace sallyport::proxy {

// A random value for Sec-WebSocket-Key.
std::string MakeWebSocketKey();
// What Sec-WebSocket-Accept has to be for a key.
std::string WebSocketAccept(std::string_view key);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_WEBSOCKET_KEY_H_
