// One stream of an HTTP/2 connection, as the session and whoever serves or uses it share it.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_STREAM_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_STREAM_H_

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "agent/proxy/event.h"
#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// A header list as it came, pseudo-header fields first.
struct H2Head {
  Headers fields;
  bool ends_stream = false;  // No body follows.
  bool too_large = false;    // Beyond the limits: `fields` holds the beginning.
  size_t bytes = 0;          // As limits count them, those beyond included.
};

// Belongs to one worker. The session writes the first part and reads the second; its user the other
// way round, and calls the session after each change (H2Session). Plain data otherwise.
struct H2Stream {
  explicit H2Stream(boost::asio::io_context& context) : readable(context), writable(context) {}

  int32_t id = 0;

  // From the peer. `readable` is notified after each change.
  Event readable;
  std::vector<H2Head> heads;  // A server's stream: one. A client's: interim ones and the final one.
  std::string unread;         // DATA that nobody has taken; at most the stream's window.
  uint64_t received_bytes = 0;  // Of DATA, without padding.
  Headers trailers;
  bool head_complete = false;  // The final head came; `heads` may have been emptied since.
  bool remote_ended = false;   // END_STREAM came, and all before it was legal.
  // Why nothing more comes, and nothing more can be sent; OK: the stream is well. ABORTED: the peer
  // has certainly not processed it. FAILED_PRECONDITION: nor has it, and wants it over HTTP/1.1.
  // UNAVAILABLE: the connection takes no further stream. INVALID_ARGUMENT: the peer broke the
  // framing. CANCELLED: reset here. DATA_LOSS: all else.
  absl::Status failure;
  // Called once when `failure` is set, if there is one: for what has nothing to wait for here. May
  // not call the session.
  std::function<void()> on_failure;
  bool closed = false;     // nghttp2 has forgotten it.
  bool head_sent = false;  // Its first HEADERS went out.

  // To the peer. `writable` is notified when everything has been taken, and after a failure.
  Event writable;
  size_t interim_heads = 0;  // Not yet out. `writable` is notified after each.
  std::string held;          // Sent first.
  std::string_view piece;  // Sent behind it. The writer's own bytes: it waits until they are taken.
  size_t held_taken = 0;   // From the front of `held`.
  uint64_t sent_bytes = 0;   // Of DATA.
  bool end_after = false;    // END_STREAM follows the last byte, or has gone with the head…
  Headers trailers_out;      // …or these do.
  bool local_ended = false;  // END_STREAM is out. `writable` is notified.
  bool waiting = false;      // nghttp2 has been told to wait for more to send.

  // What the peer may send before it is read. Grows with its reader's speed.
  uint32_t window = 0;
  size_t read_of_window = 0;     // Since it grew, or was read through…
  SteadyTime read_since;         // …which was then.
  std::shared_ptr<void> growth;  // What HoldWindowMemory gave.

  // Bytes handed to the reader whose window has not been given back, and those of `unread`.
  size_t owed = 0;
  bool discard = false;     // DATA is dropped: nobody reads it.
  bool reset_here = false;  // By H2Session::Reset.
  bool blamed = false;      // By H2Session::Blame.
  bool released = false;    // By H2Session::Release.
  bool lingering = false;   // Counted as open, though it is closed: it has not been released.

  size_t outgoing() const { return held.size() - held_taken + piece.size(); }
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_STREAM_H_
