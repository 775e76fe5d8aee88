// Moves a request's body on while the answer is awaited.

#ifndef SALLYPORT_AGENT_PROXY_BODY_PUMP_H_
#define SALLYPORT_AGENT_PROXY_BODY_PUMP_H_

#include <memory>

#include "agent/proxy/event.h"
#include "agent/proxy/exchange.h"
#include "agent/proxy/handlers/link.h"

namespace sallyport::proxy {

// Runs beside the coroutine that started it, on the same worker, and reads no faster than the
// receiver takes. Whoever starts it must await Stop before the client's or the receiver's
// connection is given up.
class BodyPump {
 public:
  static std::shared_ptr<BodyPump> ToOrigin(const ClientConnection& client,
                                            H1ClientConnection* origin);
  static std::shared_ptr<BodyPump> ToHandler(const ClientConnection& client, HandlerCall* call);

  // Returns when the pump no longer touches either side. If the body is not through, the client's
  // connection takes no further request.
  Task<void> Stop();
  // The body broke off or was badly framed on the client's side.
  bool client_failed() const { return client_failed_; }

 private:
  BodyPump(const ClientConnection& client, H1ClientConnection* origin, HandlerCall* call);

  static Task<void> Run(std::shared_ptr<BodyPump> self);
  Task<absl::Status> Pass(std::string_view piece);
  Task<absl::Status> PassEnd();
  // The receiver gets no more, and knows that it has not got all.
  void CutOff();

  H1ServerConnection* const client_;
  Stream* const client_stream_;
  H1ClientConnection* const origin_;  // One of these two.
  HandlerCall* const call_;
  Event done_;
  bool stopping_ = false;
  bool client_failed_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BODY_PUMP_H_
