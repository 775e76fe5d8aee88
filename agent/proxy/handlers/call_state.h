// What one call knows, on both sides of the HTTP/2 session: its caller, and its stream.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_CALL_STATE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_CALL_STATE_H_

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "agent/proxy/event.h"
#include "agent/proxy/handlers/grpc_response.h"

namespace sallyport::proxy {

// Belongs to one worker. Held by the session while its stream is open and by the caller while it
// wants the call.
struct CallState {
  explicit CallState(boost::asio::io_context& context) : readable(context), sent(context) {}

  // Whether sending is pointless: the stream, or the handler's answer, is over.
  bool over() const { return stream_closed || response.result().has_value(); }

  int32_t stream_id = 0;

  // From the handler. `owed` bytes of DATA are not yet given back to the stream's flow-control
  // window.
  GrpcResponse response;
  size_t owed = 0;
  bool complete = false;  // The caller has its last word: a Forward, PassResponse or End.
  Event readable;         // Bytes, the result, or the stream's end came.

  // To the handler: at most one message, of which HTTP/2 took the first `taken` bytes.
  std::string outgoing;
  size_t taken = 0;
  bool sending = false;  // Somebody waits for it to be taken.
  Event sent;            // `outgoing` became empty, or the call is over.
  SteadyTime send_deadline = SteadyTime::max();
  bool half_close = false;   // END_STREAM goes out after `outgoing`.
  bool headers_out = false;  // The request's HEADERS may have reached the handler.

  bool stream_closed = false;
  bool reset = false;      // RST_STREAM is on its way.
  bool abandoned = false;  // Its caller is gone.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_CALL_STATE_H_
