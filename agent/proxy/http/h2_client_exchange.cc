#include "agent/proxy/http/h2_client_exchange.h"

#include <utility>

#include "agent/proxy/http/client_request.h"
#include "agent/proxy/http/websocket_key.h"
#include "common/base/status.h"

namespace sallyport::proxy {

H2ClientExchange::H2ClientExchange(std::shared_ptr<H2ClientConnection::State> connection)
    : connection_(std::move(connection)) {}

H2ClientExchange::~H2ClientExchange() {
  if (stream_ == nullptr) return;
  const bool complete = stream_->remote_ended && stream_->local_ended;
  if (!complete) Abort();
  connection_->session->Discard(*stream_);
  connection_->OnEnd();
}

Task<absl::Status> H2ClientExchange::WriteHead(const RequestHead& head,
                                               std::string_view authority_text) {
  CO_RETURN_IF_ERROR(CheckRequest(head, authority_text));
  H2Session& session = *connection_->session;
  if (stream_ != nullptr || !session.accepts_streams())
    co_return absl::UnavailableError("the connection takes no further request");
  asked_for_ = AskedFor{head.method == "HEAD", head.websocket};
  expects_continue_ = head.expect_continue;
  head_is_all_ = head.framing == BodyFraming::kNone && !head.websocket;
  const std::string* key = head.headers.Find("sec-websocket-key");
  if (head.websocket && key != nullptr) websocket_key_ = *key;
  reads_before_ = connection_->reads;
  stream_ =
      session.Open(RequestFields(head, authority_text, connection_->options.scheme), head_is_all_);
  reader_.emplace(&session, stream_, connection_->options.timeouts.body);
  writer_.emplace(&session, stream_, connection_->options.timeouts.body);
  std::optional<uint64_t> length;
  if (head.framing == BodyFraming::kLength) length = head.content_length;
  writer_->Begin(head_is_all_ ? H2Writer::Body::kNone : H2Writer::Body::kSend, length);
  connection_->OnBegin();
  session.Wake();
  co_return stream_->failure;
}

Task<absl::Status> H2ClientExchange::WriteBody(std::string_view bytes, More more) {
  return writer_->Write(bytes, more);
}

Task<absl::Status> H2ClientExchange::Flush() { co_return writer_->Flush(); }

Task<absl::Status> H2ClientExchange::FinishBody(const Headers& trailers) {
  // The request for a WebSocket is never ended: its stream becomes the WebSocket.
  if (head_is_all_ || asked_for_.websocket) co_return stream_->failure;
  co_return co_await writer_->Finish(trailers);
}

absl::Status H2ClientExchange::Refuse(absl::Status status) {
  connection_->session->Reset(*stream_, H2Error::kProtocolError, status);
  return status;
}

absl::StatusOr<std::optional<ResponseHead>> H2ClientExchange::TakeHead() {
  while (!stream_->heads.empty()) {
    absl::StatusOr<ResponseHead> head = ResponseOf(std::move(stream_->heads.front()), asked_for_);
    stream_->heads.erase(stream_->heads.begin());
    if (!head.ok()) return Refuse(head.status());
    if (head->status >= 200 || head->status == 101) return *std::move(head);
    if (++interim_heads_ > kMaxInterimHeads)
      return Refuse(absl::InvalidArgumentError("too many interim answers"));
    if (head->status != 100 || expects_continue_) return *std::move(head);
  }
  return std::nullopt;
}

absl::Status H2ClientExchange::Failure() const {
  const absl::Status& failure = stream_->failure;
  const bool nothing_came = connection_->reads == reads_before_ && interim_heads_ == 0;
  // So it was the connection that was lost, and no frame of the origin's that ended the stream.
  if (nothing_came && absl::IsDataLoss(failure)) return absl::UnavailableError(failure.message());
  switch (failure.code()) {
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
      return failure;
    default:
      return absl::DataLossError(failure.message());
  }
}

Task<absl::StatusOr<ResponseHead>> H2ClientExchange::ReadHead(std::chrono::milliseconds timeout) {
  if (stream_ == nullptr || answered_)
    co_return absl::InvalidArgumentError("no request waits for an answer");
  connection_->session->Send(*stream_);
  uint64_t sent_bytes = stream_->sent_bytes;
  SteadyTime deadline = Deadlines::In(timeout);
  while (true) {
    absl::StatusOr<std::optional<ResponseHead>> head = TakeHead();
    if (!head.ok()) co_return head.status();
    if (head->has_value()) {
      answered_ = (*head)->status >= 200 || (*head)->status == 101;
      if ((*head)->status == 101) {
        if (!websocket_key_.empty())
          (*head)->headers.Set("sec-websocket-accept", WebSocketAccept(websocket_key_));
        tunnel_.emplace(connection_->session.get(), stream_);
      }
      co_return **std::move(head);
    }
    if (!stream_->failure.ok()) co_return Failure();
    if (stream_->remote_ended)
      co_return Refuse(absl::InvalidArgumentError("the origin ended the stream without an answer"));
    stream_->readable.Reset();
    const absl::Status waited = co_await stream_->readable.Wait(deadline);
    if (waited.ok()) continue;
    // An answer is not late before its request has been sent.
    if (stream_->sent_bytes == sent_bytes) {
      // Nobody may be there any more. Who comes next is not to wait for that, too.
      if (connection_->reads == reads_before_) connection_->session->Retire();
      co_return waited;
    }
    sent_bytes = stream_->sent_bytes;
    deadline = Deadlines::In(timeout);
  }
}

void H2ClientExchange::Abort() {
  if (stream_ == nullptr) return;
  connection_->session->Reset(*stream_, H2Error::kCancel,
                              absl::CancelledError("the exchange was given up"));
}

}  // namespace sallyport::proxy
