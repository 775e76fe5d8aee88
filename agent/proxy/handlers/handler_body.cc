#include "agent/proxy/handlers/handler_body.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "agent/proxy/handlers/answer.h"

namespace sallyport::proxy {
namespace {

// Of one message to a handler (handler.proto).
constexpr size_t kMaxPieceBytes = 64 * 1024;

std::string TakePiece(v1::HandleResponse& message) {
  return std::move(message.has_body() ? *message.mutable_body() : *message.mutable_request_body());
}

}  // namespace

Task<absl::StatusOr<std::string_view>> HandlerBody::Read() {
  while (!complete_) {
    absl::StatusOr<v1::HandleResponse> message = co_await conversation_->NextPiece(direction_);
    if (!message.ok()) co_return message.status();
    if (message->has_end() || message->has_request_end()) {
      absl::StatusOr<Headers> trailers =
          ValidateTrailers(message->has_end() ? message->end() : message->request_end());
      if (!trailers.ok()) {
        conversation_->Fail(trailers.status());
        co_return trailers.status();
      }
      trailers_ = *std::move(trailers);
      complete_ = true;
      break;
    }
    piece_ = TakePiece(*message);
    if (!piece_.empty()) co_return std::string_view(piece_);
  }
  co_return std::string_view();
}

Task<absl::Status> HandlerSink::Write(std::string_view piece) {
  while (!piece.empty()) {
    v1::HandleRequest message;
    const std::string_view part = piece.substr(0, kMaxPieceBytes);
    piece.remove_prefix(part.size());
    if (direction_ == Direction::kRequest) {
      message.set_body(std::string(part));
    } else {
      message.set_response_body(std::string(part));
    }
    const absl::Status sent = co_await conversation_->SendPiece(direction_, std::move(message));
    if (!sent.ok()) co_return sent;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> HandlerSink::Finish(const Headers& trailers) {
  v1::HandleRequest message;
  v1::End* const end =
      direction_ == Direction::kRequest ? message.mutable_end() : message.mutable_response_end();
  AddHeaders(trailers, end->mutable_trailers());
  return conversation_->SendPiece(direction_, std::move(message));
}

void AddHeaders(const Headers& headers, google::protobuf::RepeatedPtrField<v1::Header>* list) {
  for (const Header& header : headers.fields()) {
    v1::Header* const copy = list->Add();
    copy->set_name(absl::AsciiStrToLower(header.name));
    copy->set_value(header.value);
  }
}

}  // namespace sallyport::proxy
