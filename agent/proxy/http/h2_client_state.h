// What the loops of an HTTP/2 connection to an origin share with its exchanges.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_STATE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_STATE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/h2_client.h"
#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/h2_transport.h"

namespace sallyport::proxy {

struct H2ClientConnection::State {
  State(boost::asio::io_context& context, std::unique_ptr<Stream> connected, Options given)
      : options(std::move(given)),
        stream(std::move(connected)),
        session(std::make_shared<H2Session>(context, H2Session::Role::kClient, options.limits)),
        transport(stream.get(), session.get(), options.timeouts, "") {
    session->set_on_stream_closed(options.on_change);
    session->set_hold_memory(options.hold_memory);
    WatchIdle();
  }

  // Without exchanges, the connection is not kept for long. A read waits for as long as there are
  // any: each has its own time.
  void WatchIdle() {
    transport.SetReadDeadline(exchanges == 0 ? Deadlines::In(options.timeouts.idle)
                                             : SteadyTime::max());
  }
  void OnBegin() {
    ++exchanges;
    WatchIdle();
  }
  void OnEnd() {
    --exchanges;
    if (!ended) WatchIdle();
  }

  const Options options;
  const std::unique_ptr<Stream> stream;
  const std::shared_ptr<H2Session> session;
  H2Transport transport;
  size_t exchanges = 0;  // That have begun.
  uint64_t reads = 0;    // That brought bytes.
  bool ended = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_STATE_H_
