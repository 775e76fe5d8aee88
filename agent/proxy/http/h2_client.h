// HTTP/2 with an origin: the client's side of one connection, shared by its streams.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_H_

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/http/http_exchange.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Belongs to one worker. Reads and writes by itself, so that it answers PING and SETTINGS and
// notices its end while nobody asks. Letting go of it closes it once its exchanges have ended,
// which may outlive it.
class H2ClientConnection {
 public:
  struct Options {
    std::string scheme = "https";  // Becomes :scheme.
    H2Limits limits = {};
    H2Timeouts timeouts = {.idle = std::chrono::seconds(30), .body = std::chrono::minutes(5)};
    HoldWindowMemory hold_memory = nullptr;
    // Called when a stream or the connection has ended.
    std::function<void()> on_change = [] {};
  };
  // `stream` is connected, and the origin is known to speak HTTP/2.
  H2ClientConnection(boost::asio::io_context& context, std::unique_ptr<Stream> stream,
                     Options options);
  ~H2ClientConnection();

  // One request and its answer. Abort, and giving it up before both are complete, reset its stream
  // and nothing else. REQUIRES: takes_requests().
  std::unique_ptr<ClientExchange> Open();
  // alive(), and below the origin's and our own limit of streams.
  bool takes_requests() const;
  // The origin has announced extended CONNECT (RFC 8441).
  bool takes_websockets() const;
  // Connected, no GOAWAY came, and not retired.
  bool alive() const;
  // It carries nothing, and never will again.
  bool ended() const;
  size_t streams() const;
  // No further requests; ends with its last stream.
  void Retire();
  // Ends every stream, and the connection, at once.
  void Close();

  struct State;  // Of the connection; h2_client_state.h.

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_H_
