// Moves a request's body on while the answer is awaited.

#ifndef SALLYPORT_AGENT_PROXY_BODY_PUMP_H_
#define SALLYPORT_AGENT_PROXY_BODY_PUMP_H_

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/event.h"
#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// Runs beside the coroutine that started it, on the same worker, and reads no faster than the
// receiver takes. Whoever starts it must await Stop before the client's or the receiver's
// connection is given up.
class BodyPump {
 public:
  enum class Begin {
    kNow,
    // A client that waits to be asked for its body is, with GoOn, or after kAskAnyway.
    kWhenAsked,
  };
  // Not every origin knows of 100 (Continue), as nginx over HTTP/2. The usual clients wait for a
  // second, and are asked before they give up.
  static constexpr std::chrono::milliseconds kAskAnyway{750};

  // `first` is a piece that was read from the body already; it holds until the next read. Trailers
  // whose names are `withheld`, in any spelling, are not passed on, nor are Sallyport's own.
  static std::shared_ptr<BodyPump> ToOrigin(const ClientConnection& client, ClientExchange* origin,
                                            std::string_view first, Begin begin,
                                            std::vector<std::string> withheld);
  // At once, to a handler that is a web server. No trailer says who asks, as no header does.
  static std::shared_ptr<BodyPump> ToHandler(const ClientConnection& client,
                                             ClientExchange* handler);

  // The receiver wants the body.
  void GoOn() { go_on_.Notify(); }
  // Nobody has asked the client for it so far.
  bool unasked() const { return unasked_; }
  // False if the origin was given anything of the body, or its end. Else it is given nothing, and
  // is no longer touched: another one is to get the body, with UseOrigin, or Stop follows.
  bool LetGo();
  void UseOrigin(ClientExchange* origin);
  // Returns when the pump no longer touches either side. If the body is not through, the client's
  // connection takes no further request.
  Task<void> Stop();
  // Not OK: the body broke off, or (INVALID_ARGUMENT) was badly framed, on the client's side.
  const absl::Status& client_status() const { return client_status_; }

 private:
  // Trailers whose names are `forged` are not passed on either.
  using Forged = bool (*)(std::string_view name);
  BodyPump(const ClientConnection& client, ClientExchange* origin, Begin begin, Forged forged,
           std::vector<std::string> withheld);

  static Task<void> Run(std::shared_ptr<BodyPump> self, std::string_view first);
  Task<absl::Status> Pass(std::string_view piece);
  Task<absl::Status> PassEnd();
  // There is a receiver, unless it is stopping.
  Task<void> AwaitReceiver();
  // The client's side has failed.
  void BreakOff(const absl::Status& status);
  // The receiver gets no more, and knows that it has not got all.
  void CutOff();

  ServerExchange* const client_;
  ClientExchange* origin_;  // Null after LetGo.
  const Forged forged_;
  const std::vector<std::string> withheld_;
  Event go_on_;
  Event receiver_;
  Event done_;
  bool unasked_;
  bool passed_ = false;  // Something of the body, or its end.
  bool stopping_ = false;
  absl::Status client_status_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BODY_PUMP_H_
