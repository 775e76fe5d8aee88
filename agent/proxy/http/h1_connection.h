// HTTP/1.1 over a Stream: heads and bodies in, heads and bodies out. One side of a connection each.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H1_CONNECTION_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H1_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "agent/proxy/http/body.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Times that one step may take; each is a deadline on the stream.
struct H1Timeouts {
  std::chrono::milliseconds idle{
      60'000};  // Between exchanges on a kept connection: closed silently.
  std::chrono::milliseconds head{10'000};  // From a head's first byte to its last: 408.
  std::chrono::milliseconds body{60'000};  // Between two pieces of a body, either direction.
};

// What the writer of a body knows about its next piece.
enum class More {
  kUnknown,  // The piece is written now, with everything that was held back.
  kAtOnce,   // WriteBody or FinishBody follows without a wait: up to 4 KiB may be held back for it.
};

// The server's side: the peer is the container. Belongs to one worker. Usage, in turn for each
// exchange: ReadHead, body()…, then WriteHead, WriteBody…, FinishBody. Reading the body and writing
// the response may overlap.
class H1ServerConnection {
 public:
  // `stream` outlives this. `early` was read from the stream before (by sniffing).
  H1ServerConnection(Stream* stream, std::string early, const H1Limits& limits,
                     const H1Timeouts& timeouts);
  ~H1ServerConnection();

  struct Closed {};  // Clean end, or idle for too long, before a byte of a head.
  using HeadResult = std::variant<RequestHead, BadMessage, Closed>;
  // A stream error is Closed if no byte of a head came in, else BadMessage with status 408
  // (deadline) or 0 (gone).
  Task<HeadResult> ReadHead();

  // The body of the request that ReadHead gave last; valid until the next ReadHead. Sends "100
  // Continue" before its first read if the client expects it and no response has begun.
  BodyReader& body();
  // Whether the body has been read to its end.
  bool body_complete() const;
  // Reads and drops what remains of the body: at most `max_bytes`, for at most `max_time`. False:
  // it is more; close.
  Task<bool> DrainBody(uint64_t max_bytes, std::chrono::milliseconds max_time);

  // Writes a response's head. Chooses the framing: for `head.framing` kUntilClose or kChunked,
  // chunked to HTTP/1.1 and until-close to HTTP/1.0; no body for HEAD requests, 204 and 304.
  // `head.headers` holds no framing and no hop-by-hop headers. `keep_alive` false adds "connection:
  // close". The head is held back, to be sent together with the first bytes of the body: call Flush
  // if they may be late. For HEAD and 304 the length that `head` declares (kLength, or kNone with a
  // content-length among the headers) is passed on. INVALID_ARGUMENT: a status outside 200..599.
  Task<absl::Status> WriteHead(const ResponseHead& head, bool keep_alive);
  // INVALID_ARGUMENT (and nothing written) for more bytes than the declared length. Bytes for a
  // response without body are dropped.
  Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown);
  // Sends what is held back.
  Task<absl::Status> Flush();
  // Ends the response; INVALID_ARGUMENT if bytes of a declared length are missing. Trailers are
  // sent with chunked framing only.
  Task<absl::Status> FinishBody(const Headers& trailers);
  // Answers a request for a WebSocket with 101 and, in the same write, `first`. From here on the
  // stream is the caller's, and begins with what TakeBuffered gives. INVALID_ARGUMENT: the request
  // asks for none, or has been answered. After every other answer to such a request the connection
  // is closed, since what follows the request may not be HTTP.
  Task<absl::Status> SwitchToWebSocket(const ResponseHead& head, std::string_view first);
  // What the client sent behind the head and was read together with it.
  std::string TakeBuffered();
  // Head and whole body in one write.
  Task<absl::Status> WriteResponse(const ResponseHead& head, std::string_view body,
                                   bool keep_alive);
  // Whether a response's head was begun for the current request.
  bool response_begun() const;
  // Whether, after FinishBody, the connection may carry another request once the request's body has
  // been read to its end (ReadHead gives Closed before).
  bool reusable() const;
  // Of the current exchange.
  uint64_t body_bytes_received() const;
  uint64_t body_bytes_sent() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The client's side: the peer is an origin. Belongs to one worker. One exchange at a time:
// WriteHead, WriteBody…, FinishBody, and (overlapping, if so wished) ReadHead, body().
class H1ClientConnection {
 public:
  H1ClientConnection(std::unique_ptr<Stream> stream, const H1Limits& limits,
                     const H1Timeouts& timeouts);
  ~H1ClientConnection();

  // `authority_text` becomes Host. `head.headers` without host, framing and hop-by-hop headers; the
  // framing is `head.framing`. The head is held back, to be sent together with the first bytes of
  // the body; ReadHead sends it too. INVALID_ARGUMENT: a method or target that cannot be sent.
  // UNAVAILABLE: the connection is not reusable.
  Task<absl::Status> WriteHead(const RequestHead& head, std::string_view authority_text);
  // As on the server's side.
  Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown);
  Task<absl::Status> Flush();
  Task<absl::Status> FinishBody(const Headers& trailers);

  // Skips at most 16 heads of 1xx. A 101 is an answer if the request asks for a WebSocket and the
  // 101 agrees to one: from there on the stream is the caller's, and begins with what TakeBuffered
  // gives. Any other 101 breaks the framing. Waits at most `timeout`, counted from the request's
  // last write. INVALID_ARGUMENT: the origin broke the framing. UNAVAILABLE: closed before the
  // first byte of a head (the request may be sent again elsewhere if nothing of its body was).
  // DATA_LOSS: closed later. DEADLINE_EXCEEDED.
  Task<absl::StatusOr<ResponseHead>> ReadHead(std::chrono::milliseconds timeout);
  // After a 101: what the origin sent behind it and was read together with it.
  std::string TakeBuffered();
  // The body of the response that ReadHead gave.
  BodyReader& body();
  // Whether request and response are complete and the connection may be pooled.
  bool reusable() const;
  // For an idle pooled connection: false if the peer has closed it or sent something unasked.
  bool StillIdle();
  Stream& stream();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H1_CONNECTION_H_
