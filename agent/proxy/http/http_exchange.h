// One request and its answer on either side of the proxy, whatever the wire's version.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_HTTP_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_HTTP_EXCHANGE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/proxy/http/body.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// What the writer of a body knows about its next piece.
enum class More {
  kUnknown,  // The piece is written now, with everything that was held back.
  kAtOnce,   // WriteBody or FinishBody follows without a wait: up to 4 KiB may be held back for it.
};

// The server's side: the peer is the container, and its request's head has been read. Belongs to
// one worker. Usage: body()…, then WriteInterim…, WriteHead, WriteBody…, FinishBody. Reading the
// body and writing the response may overlap.
class ServerExchange {
 public:
  virtual ~ServerExchange() = default;

  // The body of the request. Its first read tells a client that waits for it to continue (100), if
  // no response has begun.
  virtual BodyReader& body() = 0;
  // Whether the body has been read to its end.
  virtual bool body_complete() const = 0;
  // Reads and drops what remains of the body: at most `max_bytes`, for at most `max_time`. False:
  // it is more.
  virtual Task<bool> DrainBody(uint64_t max_bytes, std::chrono::milliseconds max_time) = 0;
  // Ends a read of the body that waits, and every later one, with an error. Nothing but Abort
  // follows.
  virtual void StopReading() = 0;

  // Passes an interim answer (102, 103) on, to a client that knows of such; before WriteHead. Waits
  // until it is written, so that whoever makes many of them makes no more than the client reads.
  virtual Task<absl::Status> WriteInterim(const ResponseHead& head) = 0;
  // Writes a response's head. Chooses the framing as the wire wants it; no body for HEAD requests,
  // 204 and 304. `head.headers` holds no framing and no hop-by-hop headers. `keep_alive` false ends
  // the connection after the response, where a connection carries one request at a time. The head
  // may be held back, to be sent together with the first bytes of the body: call Flush if they may
  // be late. For HEAD and 304 the length that `head` declares (kLength, or kNone with a
  // content-length among the headers) is passed on. INVALID_ARGUMENT: a status outside 200..599.
  virtual Task<absl::Status> WriteHead(const ResponseHead& head, bool keep_alive) = 0;
  // INVALID_ARGUMENT (and nothing written) for more bytes than the declared length. Bytes for a
  // response without body are dropped. Returns when the peer's flow control lets it.
  virtual Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown) = 0;
  // Sends what is held back.
  virtual Task<absl::Status> Flush() = 0;
  // For a body that may cross without being copied; null: this one may not.
  virtual SplicedSink* spliced() { return nullptr; }
  // Ends the response; INVALID_ARGUMENT if bytes of a declared length are missing.
  virtual Task<absl::Status> FinishBody(const Headers& trailers) = 0;
  // Head and whole body in one write.
  virtual Task<absl::Status> WriteResponse(const ResponseHead& head, std::string_view body,
                                           bool keep_alive) = 0;
  // Whether the response's head was begun.
  virtual bool response_begun() const = 0;
  // Cuts the exchange off, so that the client sees an error and no clean end.
  virtual void Abort() = 0;
  // Has `callback` called once, at once if need be, when the client has given the exchange up and
  // the wire can tell: what is done for it is in vain. Null: nothing is. See AbandonmentWatch.
  virtual void OnAbandoned(std::function<void()> callback) = 0;

  // Answers a request for a WebSocket with the agreement in `head` and, in the same write, `first`.
  // INVALID_ARGUMENT: the request asks for none, or has been answered.
  virtual Task<absl::Status> SwitchToWebSocket(const ResponseHead& head,
                                               std::string_view first) = 0;
  // Agrees to a CONNECT. INVALID_ARGUMENT: the request is none, or has been answered.
  virtual Task<absl::Status> AcceptConnect() = 0;
  // The bytes of the WebSocket or tunnel, after SwitchToWebSocket or AcceptConnect; begins with
  // what TakeBuffered gives. Before it: only to be closed.
  virtual Stream& tunnel() = 0;
  // What the client sent behind the head and was read together with it.
  virtual std::string TakeBuffered() = 0;

  // Of the bodies.
  virtual uint64_t body_bytes_received() const = 0;
  virtual uint64_t body_bytes_sent() const = 0;
};

// The client's side: the peer is an origin. Belongs to one worker. WriteHead, WriteBody…,
// FinishBody, and (overlapping, if so wished) ReadHead…, body().
class ClientExchange {
 public:
  virtual ~ClientExchange() = default;

  // `authority_text` becomes Host or :authority. `head.headers` without host, framing and
  // hop-by-hop headers; the framing is `head.framing`. The head may be held back, to be sent
  // together with the first bytes of the body; ReadHead sends it too. `head.expect_continue` has
  // the origin say whether it wants the body (RFC 9110 section 10.1.1). INVALID_ARGUMENT: a method
  // or target that cannot be sent. UNAVAILABLE: the connection takes no further request.
  virtual Task<absl::Status> WriteHead(const RequestHead& head,
                                       std::string_view authority_text) = 0;
  // As on the server's side.
  virtual Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown) = 0;
  virtual Task<absl::Status> Flush() = 0;
  virtual SplicedSink* spliced() { return nullptr; }
  virtual Task<absl::Status> FinishBody(const Headers& trailers) = 0;

  // The next head of the answer. A status of 102..199 is an interim answer, and another head
  // follows; of these come at most 16. 100 is skipped unless the request expects it. A 101 is an
  // answer if the request asks for a WebSocket and the origin agrees to one: from there on tunnel()
  // carries it. Any other 101 breaks the framing. Waits at most `timeout`, counted from the
  // request's last write. INVALID_ARGUMENT: the origin broke the framing. ABORTED: the origin has
  // certainly not processed the request (RFC 9113 section 8.7). FAILED_PRECONDITION: nor has it,
  // and wants it over HTTP/1.1. UNAVAILABLE: nothing of an answer came, and an idle connection was
  // closed, or one that was lost before anything came over it. DATA_LOSS: closed later.
  // DEADLINE_EXCEEDED.
  virtual Task<absl::StatusOr<ResponseHead>> ReadHead(std::chrono::milliseconds timeout) = 0;
  // The body of the response that ReadHead gave.
  virtual BodyReader& body() = 0;
  // Gives the exchange up; the origin sees that it is not complete. Reads and writes that wait
  // fail.
  virtual void Abort() = 0;

  // After a 101: the WebSocket's bytes, behind what TakeBuffered gives.
  virtual Stream& tunnel() = 0;
  // What the origin sent behind its 101 and was read together with it.
  virtual std::string TakeBuffered() = 0;

  // Whether request and response are complete and this object may carry another exchange: it is a
  // connection of its own, and may be pooled.
  virtual bool reusable() const { return false; }
  // REQUIRES: reusable(). False if the idle peer has closed the connection or sent something
  // unasked.
  virtual bool StillIdle() { return false; }
};

// Ends what is done for a client that has gone, as long as this lives.
class AbandonmentWatch {
 public:
  // `client` outlives this. `end` is called at most once, and ends whatever waits.
  AbandonmentWatch(ServerExchange* client, std::function<void()> end)
      : client_(client), end_(std::move(end)) {
    client_->OnAbandoned([this] {
      abandoned_ = true;
      end_();
    });
  }
  ~AbandonmentWatch() { client_->OnAbandoned(nullptr); }
  AbandonmentWatch(const AbandonmentWatch&) = delete;
  AbandonmentWatch& operator=(const AbandonmentWatch&) = delete;

  bool abandoned() const { return abandoned_; }

 private:
  ServerExchange* const client_;
  const std::function<void()> end_;
  bool abandoned_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_HTTP_EXCHANGE_H_
