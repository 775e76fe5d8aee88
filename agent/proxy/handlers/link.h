// Calls to one handler endpoint: gRPC over HTTP/2 on the worker's own event loop.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_LINK_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_LINK_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/proxy/stream.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// One call of OutboundHandler.Handle. Belongs to one worker. One Send and one Receive may be under
// way at once. Destroying it ends both with CANCELLED, and resets the stream; but if the handler's
// answer is complete (Receive returned a Forward or PassResponse after which nothing comes, an End,
// or the stream's end) the stream is half-closed and let end by itself.
class HandlerCall {
 public:
  virtual ~HandlerCall() = default;
  // The first message. It goes out with what else there is, and nobody waits for that. Errors as
  // Send.
  virtual absl::Status Start(const v1::HandleRequest& start) = 0;
  // Returns when HTTP/2 has taken the message, flow control permitting. UNAVAILABLE: the
  // connection, the stream or the handler's answer is over; Receive says how. INVALID_ARGUMENT: the
  // message is too long. DEADLINE_EXCEEDED: the handler did not take it before SetSendDeadline's
  // time; then the call is of no more use.
  virtual Task<absl::Status> Send(const v1::HandleRequest& message) = 0;
  // For the sends that are under way or begin later. Default: none; Cancel, or destroying the call,
  // ends them.
  virtual void SetSendDeadline(SteadyTime deadline) = 0;
  // Half-closes. Never waits.
  virtual Task<absl::Status> FinishSending() = 0;
  // The next message. OUT_OF_RANGE: the stream ended with grpc-status 0. UNAVAILABLE: connection
  // lost, or stream refused before processing (then IsNotProcessed, not_processed.h). INTERNAL: the
  // handler's status was not OK (code and message in the text), or its bytes break gRPC or HTTP/2.
  // DEADLINE_EXCEEDED: nothing came before `deadline`; it may be called again. What came before an
  // end is returned first.
  virtual Task<absl::StatusOr<v1::HandleResponse>> Receive(SteadyTime deadline) = 0;
  // Resets the stream. A Send and a Receive that wait, and later ones, return CANCELLED.
  virtual void Cancel() = 0;
};

// One HTTP/2 connection to a handler. Belongs to one worker. The owner keeps it in a pool keyed by
// container and endpoint. Letting go of it closes it once its calls have ended; they may outlive
// it.
class HandlerLink {
 public:
  // `stream` is connected and speaks HTTP/2 with prior knowledge. `authority` becomes :authority.
  // Starts the connection's own reading and writing on `context`. Limits: 1 MiB a message, 256 KiB
  // a stream's window, nghttp2's defaults against floods.
  static std::shared_ptr<HandlerLink> Start(boost::asio::io_context& context,
                                            std::unique_ptr<Stream> stream, std::string authority);
  virtual ~HandlerLink() = default;
  // Whether a new call may be begun: connected, no GOAWAY, below the peer's limit of streams, and
  // the peer takes bytes.
  virtual bool usable() const = 0;
  virtual size_t calls_in_flight() const = 0;
  // Begins a call, with the metadata `sallyport-identity` unless the token is empty. UNAVAILABLE if
  // not usable.
  virtual absl::StatusOr<std::unique_ptr<HandlerCall>> Call(std::string_view identity_token) = 0;
  absl::StatusOr<std::unique_ptr<HandlerCall>> Call() { return Call({}); }
  // A unary call of another method: one message there, one back, both serialized. Errors as
  // HandlerCall's; a second message is INTERNAL. The link may go meanwhile.
  virtual Task<absl::StatusOr<std::string>> Ask(std::string_view path, std::string request,
                                                SteadyTime deadline) = 0;
  // Ends every call (UNAVAILABLE) and the connection.
  virtual void Close() = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_LINK_H_
