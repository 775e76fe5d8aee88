// HTTP/1.1 over a Stream: heads and bodies in, heads and bodies out. One side of a connection each.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H1_CONNECTION_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H1_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "agent/proxy/head_room.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/http_exchange.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Times that one step may take; each is a deadline on the stream.
struct H1Timeouts {
  std::chrono::milliseconds idle{
      60'000};  // Between exchanges on a kept connection: closed silently.
  std::chrono::milliseconds head{10'000};  // From a head's first byte to its last: 408.
  std::chrono::milliseconds body{60'000};  // Between two pieces of a body, either direction.
};

// The server's side: the peer is the container. Belongs to one worker. One exchange at a time:
// ReadHead, then the exchange as in ServerExchange.
class H1ServerConnection final : public ServerExchange {
 public:
  // `stream` outlives this. `early` was read from the stream before (by sniffing).
  H1ServerConnection(Stream* stream, std::string early, const H1Limits& limits,
                     const H1Timeouts& timeouts);
  // Before anything is awaited.
  H1ServerConnection(H1ServerConnection&&) noexcept = default;
  ~H1ServerConnection() override;

  struct Closed {};  // Clean end, or idle for too long, before a byte of a head.
  using HeadResult = std::variant<RequestHead, BadMessage, Closed>;
  // Waits for a request; on a socket, this holds next to nothing meanwhile. False: it has been idle
  // for too long, or is gone. True: ReadHead has something to read, which may still be the end.
  Task<bool> AwaitRequest();
  // If it is waiting for a request now, it waits no longer than `grace` from now.
  void LeaveSoon(std::chrono::milliseconds grace);
  // Resets the connection: the request that it carries, or is about to, is given up.
  void CloseNow();
  // A stream error is Closed if no byte of a head came in, else BadMessage with status 408
  // (deadline) or 0 (gone). `budget` has room for a large head, else BadMessage with status 503 and
  // the limit's name; null: nobody counts.
  Task<HeadResult> ReadHead(ContainerBudget* budget = nullptr);
  // Whether, after FinishBody, the connection may carry another request once the request's body has
  // been read to its end (ReadHead gives Closed before).
  bool reusable() const;

  // Valid until the next ReadHead.
  BodyReader& body() override;
  bool body_complete() const override;
  Task<bool> DrainBody(uint64_t max_bytes, std::chrono::milliseconds max_time) override;
  void StopReading() override;
  // Dropped for HTTP/1.0 (RFC 9110 section 15.2).
  Task<absl::Status> WriteInterim(const ResponseHead& head) override;
  // For `head.framing` kUntilClose or kChunked: chunked to HTTP/1.1, and until-close to HTTP/1.0.
  // kLength becomes chunked, too, if trailers may follow and the client takes them.
  // `keep_alive` false adds "connection: close".
  Task<absl::Status> WriteHead(const ResponseHead& head, bool keep_alive) override;
  Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown) override;
  Task<absl::Status> Flush() override;
  SplicedSink* spliced() override;
  // Trailers are sent with chunked framing only.
  Task<absl::Status> FinishBody(const Headers& trailers) override;
  Task<absl::Status> WriteResponse(const ResponseHead& head, std::string_view body,
                                   bool keep_alive) override;
  bool response_begun() const override;
  // Resets the connection.
  void Abort() override;
  // As soon as the client resets the connection, or closes it while it waits for its answer.
  void OnAbandoned(std::function<void()> callback) override;
  // From here on the stream is the caller's. After every other answer to a request for a WebSocket
  // the connection is closed, since what follows the request may not be HTTP.
  Task<absl::Status> SwitchToWebSocket(const ResponseHead& head, std::string_view first) override;
  // The same goes for CONNECT.
  Task<absl::Status> AcceptConnect() override;
  Stream& tunnel() override;
  std::string TakeBuffered() override;
  // Of the current exchange.
  uint64_t body_bytes_received() const override;
  uint64_t body_bytes_sent() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The client's side: the peer is an origin. Belongs to one worker. One exchange at a time, as in
// ClientExchange.
class H1ClientConnection final : public ClientExchange {
 public:
  H1ClientConnection(std::unique_ptr<Stream> stream, const H1Limits& limits,
                     const H1Timeouts& timeouts);
  ~H1ClientConnection() override;

  Task<absl::Status> WriteHead(const RequestHead& head, std::string_view authority_text) override;
  Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown) override;
  Task<absl::Status> Flush() override;
  SplicedSink* spliced() override;
  Task<absl::Status> FinishBody(const Headers& trailers) override;
  Task<absl::StatusOr<ResponseHead>> ReadHead(std::chrono::milliseconds timeout) override;
  // For a request whose head says `expect: 100-continue`, before its body: sends the head, and
  // waits until the peer asks for the body (100), answers without it, or `timeout` has passed.
  enum class Continue {
    kWanted,   // 100 came, and no answer right after it: the body is to be sent.
    kAnswer,   // ReadHead gives an answer, or why there is none, at once.
    kSilence,  // Nothing came; the peer may not know of such.
  };
  Task<Continue> AwaitContinue(std::chrono::milliseconds timeout);
  BodyReader& body() override;
  // Resets the connection.
  void Abort() override;
  Stream& tunnel() override;
  std::string TakeBuffered() override;
  bool reusable() const override;
  bool StillIdle() override;
  // The same as far as the event loop has told in its present pass, without a system call. False:
  // StillIdle knows.
  bool SeemsIdle() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H1_CONNECTION_H_
