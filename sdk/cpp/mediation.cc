#include "sdk/cpp/mediation.h"

#include <string>
#include <utility>

#include "sdk/cpp/answer_writer.h"
#include "sdk/cpp/request_builder.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

constexpr size_t kMaxPieceBytes = 64 * 1024;

enum class Direction { kRequest, kResponse };

absl::Status HungUp() { return absl::CancelledError("the container hung up"); }

absl::Status StatusOf(bool written) { return written ? absl::OkStatus() : HungUp(); }

v1::HandleResponse EndMessage(Direction direction, const v1::End& received) {
  v1::HandleResponse message;
  *(direction == Direction::kRequest ? message.mutable_request_end() : message.mutable_end()) =
      received;
  return message;
}

}  // namespace

class Mediation::Writer final : public BodyWriter {
 public:
  Writer(MessageStream* stream, Direction direction) : stream_(*stream), direction_(direction) {}

  bool Write(std::string_view bytes) override {
    while (!bytes.empty() && open_) {
      v1::HandleResponse message;
      std::string piece(bytes.substr(0, kMaxPieceBytes));
      bytes.remove_prefix(piece.size());
      if (direction_ == Direction::kRequest) {
        message.set_request_body(std::move(piece));
      } else {
        message.set_body(std::move(piece));
      }
      open_ = stream_.WriteMessage(std::move(message));
    }
    return open_;
  }
  bool open() const { return open_; }

 private:
  MessageStream& stream_;
  const Direction direction_;
  bool open_ = true;
};

absl::Status Mediation::Run() {
  if (!stream_.WriteMessage(AnswerWriter::Message(forward_))) return HungUp();
  response_open_ = forward_.inspect_ != nullptr;
  request_open_ = forward_.transform_ != nullptr && !forward_.body_.has_value();
  if (forward_.body_.has_value() && !SendOwnBody()) return HungUp();
  if (request_open_ && body_ended_ && !EndRequest(v1::End())) return HungUp();
  while (request_open_ || response_open_) {
    v1::HandleRequest* const message = stream_.ReadMessage();
    if (message == nullptr) return HungUp();
    const absl::Status status = OnMessage(message);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Mediation::OnMessage(v1::HandleRequest* message) {
  switch (message->message_case()) {
    case v1::HandleRequest::kBody: {
      // Of a request that has a body of the handler's, or whose answer took its place.
      if (!request_open_) return absl::OkStatus();
      Writer out(&stream_, Direction::kRequest);
      forward_.transform_(message->body(), out);
      return StatusOf(out.open());
    }
    case v1::HandleRequest::kEnd:
      return StatusOf(!request_open_ || EndRequest(message->end()));
    case v1::HandleRequest::kResponse:
      return OnResponse(std::move(*message->mutable_response()));
    case v1::HandleRequest::kResponseBody: {
      // Of one that has a body of the handler's.
      if (!response_open_) return absl::OkStatus();
      Writer out(&stream_, Direction::kResponse);
      transform_response_(message->response_body(), out);
      return StatusOf(out.open());
    }
    case v1::HandleRequest::kResponseEnd:
      return StatusOf(!response_open_ || EndResponse(message->response_end()));
    case v1::HandleRequest::kStart:
    case v1::HandleRequest::MESSAGE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a message that is not for a handler that has forwarded");
}

absl::Status Mediation::OnResponse(v1::OriginResponse response) {
  if (forward_.inspect_ == nullptr || std::exchange(inspected_, true))
    return absl::InvalidArgumentError("a response unasked");
  const bool has_body = response.has_body();
  ResponseAnswer answer =
      forward_.inspect_(RequestBuilder::BuildResponse(std::move(response), this));
  if (const auto* status = std::get_if<absl::Status>(&answer)) {
    return status->ok() ? absl::InternalError("the handler answered with the status OK") : *status;
  }
  if (auto* pass = std::get_if<Pass>(&answer)) return PassOn(std::move(*pass), has_body);
  // Nobody waits for the rest of the request any more.
  request_open_ = response_open_ = false;
  return StatusOf(SendInPlace(std::get<Respond>(answer)));
}

absl::StatusOr<std::optional<std::string>> Mediation::NextPiece() {
  if (response_end_.has_value()) return std::nullopt;
  if (!std::exchange(response_asked_, true)) {
    v1::HandleResponse ask;
    ask.mutable_read_response_body();
    if (!stream_.WriteMessage(std::move(ask))) return HungUp();
  }
  while (true) {
    v1::HandleRequest* const message = stream_.ReadMessage();
    if (message == nullptr) return HungUp();
    if (message->has_response_body()) return std::move(*message->mutable_response_body());
    if (message->has_response_end()) {
      response_end_ = std::move(*message->mutable_response_end());
      return std::nullopt;
    }
    // The request's body goes on meanwhile.
    const absl::Status status = OnMessage(message);
    if (!status.ok()) return status;
  }
}

absl::Status Mediation::PassOn(Pass pass, bool has_body) {
  const bool sets_body = pass.body_.has_value() && has_body;
  if (response_asked_ && !sets_body && pass.transform_ == nullptr)
    return absl::InternalError("the handler passes a response on whose body it has read");
  if (!stream_.WriteMessage(AnswerWriter::Message(pass, has_body))) return HungUp();
  response_open_ = false;
  if (sets_body) {
    Writer out(&stream_, Direction::kResponse);
    out.Write(*pass.body_);
    return StatusOf(out.open() && stream_.WriteMessage(EndMessage(
                                      Direction::kResponse, response_end_.value_or(v1::End()))));
  }
  transform_response_ = std::move(pass.transform_);
  response_open_ = transform_response_ != nullptr;
  return StatusOf(!response_open_ || !response_end_.has_value() || EndResponse(*response_end_));
}

bool Mediation::EndResponse(const v1::End& received) {
  Writer out(&stream_, Direction::kResponse);
  transform_response_(std::nullopt, out);
  response_open_ = false;
  return out.open() && stream_.WriteMessage(EndMessage(Direction::kResponse, received));
}

bool Mediation::EndRequest(const v1::End& received) {
  Writer out(&stream_, Direction::kRequest);
  forward_.transform_(std::nullopt, out);
  request_open_ = false;
  return out.open() && stream_.WriteMessage(EndMessage(Direction::kRequest, received));
}

bool Mediation::SendOwnBody() {
  return Writer(&stream_, Direction::kRequest).Write(*forward_.body_) &&
         stream_.WriteMessage(EndMessage(Direction::kRequest, v1::End()));
}

bool Mediation::SendInPlace(const Respond& respond) {
  if (!stream_.WriteMessage(AnswerWriter::Head(respond))) return false;
  Writer out(&stream_, Direction::kResponse);
  if (const auto& write = AnswerWriter::Stream(respond)) {
    write(out);
  } else {
    out.Write(AnswerWriter::Body(respond));
  }
  return out.open() && stream_.WriteMessage(EndMessage(Direction::kResponse, v1::End()));
}

}  // namespace handler_sdk
}  // namespace sallyport
