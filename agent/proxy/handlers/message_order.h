// Which messages a handler may send after a Forward that it stays part of. Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_ORDER_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_ORDER_H_

#include "absl/status/status.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// The two directions are independent of each other.
class MessageOrder {
 public:
  MessageOrder(bool transforms_request, bool inspects_response)
      : request_(transforms_request ? Request::kBody : Request::kOver),
        response_(inspects_response ? Response::kNotYet : Response::kOver) {}

  // Of a response that the handler has begun by itself.
  static MessageOrder AfterRespond() {
    MessageOrder order(false, false);
    order.response_ = Response::kBody;
    return order;
  }

  // The handler is being told what the origin answered.
  void OnOriginResponse(bool has_body) {
    response_ = Response::kAsked;
    origin_has_body_ = has_body;
  }
  // INVALID_ARGUMENT, with a sentence for the operator: the message is not the handler's turn.
  absl::Status OnMessage(const v1::HandleResponse& message);

  // Whether the handler is yet to be told of an origin's response.
  bool awaits_origin() const { return response_ == Response::kNotYet; }
  bool request_over() const { return request_ == Request::kOver; }
  bool response_over() const { return response_ == Response::kOver; }
  // Nothing more may come.
  bool over() const { return request_over() && response_over(); }

 private:
  enum class Request { kBody, kOver };
  // kRead: asked, and given the origin's body before it answers.
  enum class Response { kNotYet, kAsked, kRead, kBody, kOver };

  absl::Status OnReadResponseBody();
  absl::Status OnDecision(Response next);

  Request request_;
  Response response_;
  bool origin_has_body_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_ORDER_H_
