// The server's end of an HTTP/2 connection: the peer is the container.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_SERVER_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_SERVER_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/h2_exchange.h"
#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/h2_transport.h"

namespace sallyport::proxy {

// Belongs to one worker. One coroutine calls ReadRequests until it gives none, another WriteAll;
// the requests are served beside them, each by its own.
class H2ServerConnection {
 public:
  // `stream` outlives this. `early` was read from it before: the client's preface, or its
  // beginning. `connect_to_proxy` as in ParseH2Request, `budget` as in H2Session.
  H2ServerConnection(boost::asio::io_context& context, Stream* stream, std::string_view early,
                     const H2Limits& limits, const H2Timeouts& timeouts,
                     bool connect_to_proxy = false, ContainerBudget* budget = nullptr);

  struct Request {
    std::unique_ptr<H2ServerExchange> exchange;
    // BadMessage with status 0: the stream has been reset.
    std::variant<RequestHead, BadMessage> head;
  };
  // At least one; none: the connection takes no more, and every exchange that is not over has
  // failed. Idle for too long, or a header block that does not end: GOAWAY.
  Task<std::vector<Request>> ReadRequests();
  // To be called once for each request, when its exchange is gone.
  void RequestServed();
  // Writes until the end.
  Task<void> WriteAll() { return transport_.WriteAll(); }
  // Asks the client to open no further streams; those that it opens meanwhile are served.
  void AnnounceRetirement() { session_.AnnounceRetirement(); }
  // GOAWAY; what has begun goes on, and ReadRequests gives no more.
  void Retire() { session_.Retire(); }
  // GOAWAY; every exchange fails.
  void CloseNow();

 private:
  Request RequestOf(std::shared_ptr<H2Stream> stream);
  // What the next read waits for, at most until when.
  void SetDeadline();
  bool idle() const { return served_ == 0 && session_.open_streams() == 0; }

  const H2Timeouts timeouts_;
  const bool connect_to_proxy_;
  H2Session session_;
  H2Transport transport_;
  size_t served_ = 0;
  SteadyTime idle_until_;  // If it stays idle.
  SteadyTime head_until_;  // While a header block is coming in, or the preface.
  bool awaited_head_ = true;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_SERVER_H_
