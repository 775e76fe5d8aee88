#include "agent/proxy/handlers/message_order.h"

namespace sallyport::proxy {

absl::Status MessageOrder::OnReadResponseBody() {
  if (response_ == Response::kNotYet) {
    return absl::InvalidArgumentError(
        "the handler asks for the origin's body before it was told the origin's response");
  }
  if (response_ == Response::kRead)
    return absl::InvalidArgumentError("the handler asks for the origin's body twice");
  if (response_ != Response::kAsked) {
    return absl::InvalidArgumentError(
        "the handler asks for the origin's body after it has answered the container");
  }
  if (!origin_has_body_) {
    return absl::InvalidArgumentError(
        "the handler asks for the body of an origin's response that has none");
  }
  response_ = Response::kRead;
  return absl::OkStatus();
}

absl::Status MessageOrder::OnDecision(Response next) {
  if (response_ == Response::kNotYet) {
    return absl::InvalidArgumentError(
        "the handler answers for the origin before it was told the origin's response");
  }
  if (response_ != Response::kAsked && response_ != Response::kRead)
    return absl::InvalidArgumentError("the handler answers the container twice");
  if (response_ == Response::kRead && next == Response::kOver) {
    return absl::InvalidArgumentError(
        "the handler passes the origin's body on by itself after it has read it; set "
        "transform_body");
  }
  response_ = next;
  return absl::OkStatus();
}

absl::Status MessageOrder::OnMessage(const v1::HandleResponse& message) {
  switch (message.message_case()) {
    case v1::HandleResponse::kRespond:
      return OnDecision(Response::kBody);
    case v1::HandleResponse::kPassResponse:
      return OnDecision(message.pass_response().transform_body() ? Response::kBody
                                                                 : Response::kOver);
    case v1::HandleResponse::kReadResponseBody:
      return OnReadResponseBody();
    case v1::HandleResponse::kBody:
    case v1::HandleResponse::kEnd:
      if (response_ != Response::kBody) {
        return absl::InvalidArgumentError(
            "the handler sends a response's body before its head or after its end");
      }
      if (message.has_end()) response_ = Response::kOver;
      return absl::OkStatus();
    case v1::HandleResponse::kRequestBody:
    case v1::HandleResponse::kRequestEnd:
      if (request_ != Request::kBody) {
        return absl::InvalidArgumentError(
            "the handler sends a request's body without transform_request or after its end");
      }
      if (message.has_request_end()) request_ = Request::kOver;
      return absl::OkStatus();
    case v1::HandleResponse::kReadBody:
      return absl::InvalidArgumentError("the handler asks for the body after its Forward");
    case v1::HandleResponse::kForward:
      return absl::InvalidArgumentError("the handler forwards twice");
    case v1::HandleResponse::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the handler sends a message without content");
}

}  // namespace sallyport::proxy
