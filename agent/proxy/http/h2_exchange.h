// One request on a server's HTTP/2 stream, and its answer.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_EXCHANGE_H_

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "agent/proxy/http/h2_body.h"
#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/h2_tunnel.h"
#include "agent/proxy/http/http_exchange.h"

namespace sallyport::proxy {

// See ServerExchange. Belongs to one worker.
class H2ServerExchange final : public ServerExchange {
 public:
  // `session` outlives this.
  H2ServerExchange(H2Session* session, std::shared_ptr<H2Stream> stream,
                   std::chrono::milliseconds timeout);
  // A stream that has not ended is reset, with NO_ERROR if only the request has not.
  ~H2ServerExchange() override;
  H2ServerExchange(const H2ServerExchange&) = delete;
  H2ServerExchange& operator=(const H2ServerExchange&) = delete;

  // After the answer: drops what the client goes on to send, for a moment. Clients that have their
  // request cut off may take it for an error, though they have their answer.
  Task<void> Linger();

  // The head that was read. Before it a stream is as one with a GET.
  void Begin(const RequestHead& head);

  BodyReader& body() override { return body_; }
  bool body_complete() const override { return received_.complete(); }
  // No more than what is on its way has to be dropped: the connection's other streams do not wait
  // for it. Always true, at once.
  Task<bool> DrainBody(uint64_t max_bytes, std::chrono::milliseconds max_time) override;
  void StopReading() override { received_.Stop(); }
  Task<absl::Status> WriteInterim(const ResponseHead& head) override;
  // `keep_alive` means nothing here.
  Task<absl::Status> WriteHead(const ResponseHead& head, bool keep_alive) override;
  Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown) override;
  // The head of a refusal that comes before the request's end waits for the first of its body, at
  // most 100 ms: a client that sees such a head alone may end its request short of its length, as
  // curl 7.88 does, and so lose the rest of the answer.
  Task<absl::Status> Flush() override;
  Task<absl::Status> FinishBody(const Headers& trailers) override;
  Task<absl::Status> WriteResponse(const ResponseHead& head, std::string_view body,
                                   bool keep_alive) override;
  bool response_begun() const override { return response_begun_; }
  // RST_STREAM with INTERNAL_ERROR.
  void Abort() override;
  void OnAbandoned(std::function<void()> callback) override;
  // Answers 200 (RFC 8441 section 5). INVALID_ARGUMENT also if the agreement is no proof that its
  // author read the request's key.
  Task<absl::Status> SwitchToWebSocket(const ResponseHead& head, std::string_view first) override;
  Task<absl::Status> AcceptConnect() override;
  Stream& tunnel() override { return tunnel_; }
  std::string TakeBuffered() override { return ""; }
  uint64_t body_bytes_received() const override { return stream_->received_bytes; }
  uint64_t body_bytes_sent() const override { return writer_.body_bytes(); }

 private:
  // Asks a client that waits for it to continue, before the first read that has to wait.
  class AskedBody final : public BodyReader {
   public:
    explicit AskedBody(H2ServerExchange* exchange) : exchange_(exchange) {}
    Task<absl::StatusOr<std::string_view>> Read() override;
    bool ReadyNow() override { return exchange_->received_.ReadyNow(); }
    const Headers& trailers() const override { return exchange_->received_.trailers(); }

   private:
    H2ServerExchange* const exchange_;
  };

  void SendHead(const ResponseHead& head, H2Session::HeadKind kind);
  // The final answer's head, if it was held back.
  void SendHeldHead();

  H2Session* const session_;
  const std::shared_ptr<H2Stream> stream_;
  H2BodyReader received_;
  AskedBody body_;
  H2Writer writer_;
  H2Tunnel tunnel_;
  bool client_waits_ = false;
  bool request_is_head_ = false;
  bool response_begun_ = false;
  Headers held_head_;  // Empty: it was not held back, or has been sent.
  std::shared_ptr<boost::asio::steady_timer> held_until_;
  std::string websocket_key_;  // Empty: no WebSocket is asked for.
  bool asks_for_tunnel_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_EXCHANGE_H_
