#include "agent/proxy/mediation.h"

#include <chrono>
#include <utility>

#include "agent/proxy/forward_changes.h"
#include "agent/proxy/handler_response.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;

// In the place of a body that the container is not to get.
class NoBody final : public BodyReader {
 public:
  Task<absl::StatusOr<std::string_view>> Read() override { co_return std::string_view(); }
  bool ReadyNow() override { return true; }
  const Headers& trailers() const override { return trailers_; }

 private:
  const Headers trailers_;
};

v1::HandleRequest ToldOf(const ResponseHead& head) {
  v1::HandleRequest message;
  v1::OriginResponse& response = *message.mutable_response();
  response.set_status(static_cast<uint32_t>(head.status));
  AddHeaders(head.headers, response.mutable_headers());
  response.set_has_body(head.framing != BodyFraming::kNone);
  if (head.framing == BodyFraming::kLength) response.set_content_length(head.content_length);
  return message;
}

}  // namespace

Mediation::Mediation(const Exchange& exchange, HandlerConversation* conversation,
                     const Forward& forward, std::shared_ptr<const HandlerSpec> handler)
    : exchange_(exchange),
      conversation_(conversation),
      transforms_request_(forward.transform_request),
      inspects_(forward.inspect_response),
      handler_(std::move(handler)),
      request_body_(conversation, Direction::kRequest),
      response_body_(conversation, Direction::kResponse) {
  conversation_->Continue(MessageOrder(transforms_request_, inspects_));
}

Task<absl::Status> Mediation::Begin(const Forward& forward, std::shared_ptr<BodyFlow>* body,
                                    OriginRequest* request) {
  if (!transforms_request_) co_return absl::OkStatus();
  if (request->websocket) {
    co_return absl::InvalidArgumentError(
        "the handler transforms a request for a WebSocket, which has no body");
  }
  if (*body == nullptr) {
    *body = BodyFlow::Start(*exchange_.client.container->dial_context().context,
                            BodyOf(exchange_.client.http),
                            std::make_unique<HandlerSink>(conversation_, Direction::kRequest));
  }
  from_container_ = *body;
  request->framing = BodyFraming::kChunked;
  if (forward.content_length.has_value()) {
    request->framing = BodyFraming::kLength;
    request->content_length = *forward.content_length;
  } else if (exchange_.head.framing == BodyFraming::kNone) {
    // Most such requests stay without a body; origins do not expect one in parts of no length.
    const absl::StatusOr<std::string_view> first = co_await request_body_.Read();
    if (!first.ok()) co_return first.status();
    first_piece_ = *first;
    if (first_piece_.empty()) request->framing = BodyFraming::kNone;
  }
  co_return absl::OkStatus();
}

absl::Status Mediation::client_status() const {
  return from_container_ != nullptr ? from_container_->source_status() : absl::OkStatus();
}

void Mediation::SendBodyTo(ClientExchange* origin) {
  // Nothing else would end a read that waits for the handler.
  const auto stop = [this] { conversation_->Cancel(); };
  const auto discard = [this] { conversation_->Discard(Direction::kRequest); };
  to_origin_ = BodyFlow::Start(*exchange_.client.container->dial_context().context,
                               {&request_body_, stop, discard}, SinkOf(origin), first_piece_);
}

Task<BodyReader*> Mediation::PassAnswer(ClientExchange* origin, ResponseHead* head) {
  absl::StatusOr<BodyReader*> body = co_await Ask(origin, head);
  if (body.ok() && IsBodiless(exchange_, head->status)) {
    if (*body == &response_body_) {
      // Before the head: what is wrong can still be told.
      const absl::Status none = co_await ReadNoBody(response_body_);
      if (!none.ok()) body = none;
    } else if (head->framing != BodyFraming::kNone) {
      no_body_ = std::make_unique<NoBody>();
      body = no_body_.get();
    }
  }
  if (body.ok()) co_return *body;
  const absl::Status& first = conversation_->failure();
  Fail(HandlerFailureOf(first.ok() ? body.status() : first));
  co_return nullptr;
}

Task<absl::StatusOr<BodyReader*>> Mediation::Ask(ClientExchange* origin, ResponseHead* head) {
  const SteadyTime deadline = Clock::now() + std::chrono::milliseconds(handler_->timeout_ms);
  const absl::Status told = co_await conversation_->SendOriginResponse(ToldOf(*head), deadline);
  // If the call is over, what comes instead of a message says why.
  if (!told.ok() && !absl::IsUnavailable(told)) co_return told;
  const absl::StatusOr<v1::HandleResponse> message = co_await AwaitDecision(origin, deadline);
  if (!message.ok()) co_return message.status();
  if (message->has_pass_response()) co_return PassOn(message->pass_response(), origin, head);
  co_return Replace(message->respond(), head);
}

Task<absl::StatusOr<v1::HandleResponse>> Mediation::AwaitDecision(ClientExchange* origin,
                                                                  SteadyTime deadline) {
  absl::StatusOr<v1::HandleResponse> message =
      co_await conversation_->Next(Direction::kResponse, deadline);
  if (!message.ok() || !message->has_read_response_body()) co_return message;
  SendOriginBody(origin);
  co_return co_await AwaitDecisionOnBody();
}

// As long as the body moves, its flow has the deadlines. Nobody tells that it is over, but it is
// looked at no later than a time-out from then.
Task<absl::StatusOr<v1::HandleResponse>> Mediation::AwaitDecisionOnBody() {
  const auto timeout = std::chrono::milliseconds(handler_->timeout_ms);
  while (true) {
    const SteadyTime since = from_origin_->over_since().value_or(Clock::now());
    absl::StatusOr<v1::HandleResponse> message =
        co_await conversation_->Next(Direction::kResponse, since + timeout);
    if (message.ok() || !absl::IsDeadlineExceeded(message.status())) co_return message;
    const std::optional<SteadyTime> over = from_origin_->over_since();
    if (over.has_value() && Clock::now() >= *over + timeout) co_return message;
  }
}

absl::StatusOr<BodyReader*> Mediation::PassOn(const v1::PassResponse& message,
                                              ClientExchange* origin, ResponseHead* head) {
  ASSIGN_OR_RETURN(const Pass pass, ValidatePass(message));
  Change(pass, head);
  if (!pass.transform_body) return &origin->body();
  RETURN_IF_ERROR(SetFraming(head));
  if (from_origin_ == nullptr) SendOriginBody(origin);
  return &response_body_;
}

absl::StatusOr<BodyReader*> Mediation::Replace(const v1::Respond& message, ResponseHead* head) {
  ASSIGN_OR_RETURN(Respond respond, ValidateReplacement(message));
  if (respond.revoke_leases) exchange_.client.container->leases().RevokeOf(handler_->name);
  if (from_origin_ != nullptr) from_origin_->Cease();
  *head = ResponseHead{};
  head->status = respond.status;
  head->headers = std::move(respond.headers);
  RETURN_IF_ERROR(SetFraming(head));
  return &response_body_;
}

void Mediation::SendOriginBody(ClientExchange* origin) {
  from_origin_ =
      BodyFlow::Start(*exchange_.client.container->dial_context().context,
                      {&origin->body(), [origin] { origin->Abort(); }},
                      std::make_unique<HandlerSink>(conversation_, Direction::kResponse));
}

Task<void> Mediation::LeaveOrigin() {
  if (to_origin_ != nullptr) co_await to_origin_->Stop();
  if (from_origin_ != nullptr) co_await from_origin_->Stop();
}

Task<void> Mediation::LeaveContainer() {
  if (from_container_ != nullptr) co_await from_container_->Stop();
}

std::optional<OriginFailure> Mediation::failure() const {
  if (from_origin_ != nullptr && !from_origin_->source_status().ok()) {
    const absl::Status& status = from_origin_->source_status();
    const bool late = absl::IsDeadlineExceeded(status);
    return OriginFailure{late ? 504 : 502, late ? "origin_timeout" : "origin_failed",
                         std::string(status.message())};
  }
  std::optional<HandlerFailure> failure = failure_;
  if (!failure.has_value() && to_origin_ != nullptr &&
      absl::IsInvalidArgument(to_origin_->sink_status())) {
    failure = WrongLength();
  }
  if (!failure.has_value() && !conversation_->failure().ok())
    failure = HandlerFailureOf(conversation_->failure());
  if (!failure.has_value()) return std::nullopt;
  const int status = failure->http_status();
  return OriginFailure{status, failure->reason, std::move(failure->detail)};
}

void Mediation::Fail(HandlerFailure failure) {
  if (!failure_.has_value()) failure_ = std::move(failure);
  conversation_->Cancel();
}

}  // namespace sallyport::proxy
