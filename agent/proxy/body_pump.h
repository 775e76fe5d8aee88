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
  // `first` is a piece that was read from the body already; it holds until the next read.
  static std::shared_ptr<BodyPump> ToOrigin(const ClientConnection& client, ClientExchange* origin,
                                            std::string_view first);
  static std::shared_ptr<BodyPump> ToHandler(const ClientConnection& client, HandlerCall* call);

  // Returns when the pump no longer touches either side. If the body is not through, the client's
  // connection takes no further request.
  Task<void> Stop();
  // Not OK: the body broke off, or (INVALID_ARGUMENT) was badly framed, on the client's side.
  const absl::Status& client_status() const { return client_status_; }

 private:
  BodyPump(const ClientConnection& client, ClientExchange* origin, HandlerCall* call);

  static Task<void> Run(std::shared_ptr<BodyPump> self, std::string_view first);
  Task<absl::Status> Pass(std::string_view piece);
  Task<absl::Status> PassEnd();
  // The receiver gets no more, and knows that it has not got all.
  void CutOff();

  ServerExchange* const client_;
  ClientExchange* const origin_;  // One of these two.
  HandlerCall* const call_;
  Event done_;
  bool stopping_ = false;
  absl::Status client_status_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BODY_PUMP_H_
