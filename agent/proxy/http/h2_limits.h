// What one HTTP/2 connection may cost us, whichever side the peer is on.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_LIMITS_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace sallyport::proxy {

struct H2Limits {
  // Open at once. For a server a stream counts until it has been served to its end, even if the
  // client has reset it.
  uint32_t streams = 100;
  // DATA that the peer may send before it is read: what one stream holds at most.
  uint32_t stream_window = 128 * 1024;
  uint32_t connection_window = 1024 * 1024;
  // What a stream's window grows to while its reader keeps up; the connection's is twice as large,
  // if need be. 0: they do not grow.
  uint32_t max_stream_window = 0;
  // Unread DATA of all streams together beyond which the connection's window is not given back.
  size_t unread_bytes = 4 * 1024 * 1024;
  // A decoded header list: names, values and 32 bytes for each field (RFC 9113 section 6.5.2).
  // Else 431.
  size_t head_bytes = 60 * 1024;
  size_t field_count = 100;  // Else 431.
  size_t trailer_bytes = 16 * 1024;
  size_t continuations = 8;  // Of one header block.

  // Streams that ended by a reset for which the peer is to blame, beyond twice the streams that
  // were completed in the same period.
  uint32_t resets = 100;
  std::chrono::seconds reset_period{30};
  // Frames that cost work and carry nothing: SETTINGS, PING, PRIORITY, WINDOW_UPDATE, empty DATA;
  // beyond what streams and DATA of the same period account for.
  uint32_t idle_frames = 1000;
  std::chrono::seconds idle_frames_period{10};
};

// Asked, before a stream's window grows, for the bytes that it would have grown by in all. Null: it
// may not. Else held as long as the window is.
using HoldWindowMemory = std::function<std::shared_ptr<void>(size_t bytes)>;

// Times that one step may take.
struct H2Timeouts {
  std::chrono::milliseconds idle{60'000};     // Without a stream: GOAWAY.
  std::chrono::milliseconds head{10'000};     // From a header block's first byte to its last.
  std::chrono::milliseconds body{60'000};     // Between two pieces of a body, either direction.
  std::chrono::milliseconds write{60'000};    // Of what was gathered, to the socket.
  std::chrono::milliseconds farewell{1'000};  // For the last words to a peer.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_LIMITS_H_
