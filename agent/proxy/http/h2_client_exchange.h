// One request to an origin over HTTP/2, and its answer.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_EXCHANGE_H_

#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/http/h2_body.h"
#include "agent/proxy/http/h2_client_state.h"
#include "agent/proxy/http/h2_origin_head.h"
#include "agent/proxy/http/h2_tunnel.h"

namespace sallyport::proxy {

// See ClientExchange. A stream of the connection from WriteHead on.
class H2ClientExchange final : public ClientExchange {
 public:
  explicit H2ClientExchange(std::shared_ptr<H2ClientConnection::State> connection);
  ~H2ClientExchange() override;

  Task<absl::Status> WriteHead(const RequestHead& head, std::string_view authority_text) override;
  Task<absl::Status> WriteBody(std::string_view bytes, More more = More::kUnknown) override;
  Task<absl::Status> Flush() override;
  Task<absl::Status> FinishBody(const Headers& trailers) override;
  Task<absl::StatusOr<ResponseHead>> ReadHead(std::chrono::milliseconds timeout) override;
  BodyReader& body() override { return *reader_; }
  void Abort() override;
  Stream& tunnel() override { return *tunnel_; }
  // What follows a 101 is in the tunnel.
  std::string TakeBuffered() override { return {}; }

 private:
  // Of the heads that are there; nullopt: none.
  absl::StatusOr<std::optional<ResponseHead>> TakeHead();
  // Why no head comes any more.
  absl::Status Failure() const;
  absl::Status Refuse(absl::Status status);

  const std::shared_ptr<H2ClientConnection::State> connection_;
  std::shared_ptr<H2Stream> stream_;
  std::optional<H2BodyReader> reader_;
  std::optional<H2Writer> writer_;
  std::optional<H2Tunnel> tunnel_;
  AskedFor asked_for_;
  std::string websocket_key_;  // Which HTTP/2 has not: it is answered here.
  bool expects_continue_ = false;
  bool head_is_all_ = false;  // The request has no body.
  bool answered_ = false;
  int interim_heads_ = 0;
  uint64_t reads_before_ = 0;  // Of the connection, when the request was begun.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_EXCHANGE_H_
