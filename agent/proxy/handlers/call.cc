#include "agent/proxy/handlers/call.h"

#include <chrono>
#include <optional>
#include <utility>

#include "agent/proxy/handlers/grpc_wire.h"

namespace sallyport::proxy {
namespace {

using SessionPtr = std::shared_ptr<Http2Session>;
using StatePtr = std::shared_ptr<CallState>;

// Why a message cannot be sent any more.
absl::Status Over(const CallState& call) {
  const std::optional<absl::Status>& result = call.response.result();
  if (result.has_value() && (absl::IsUnavailable(*result) || absl::IsCancelled(*result))) {
    return *result;
  }
  return absl::UnavailableError("the handler has ended the call");
}

Task<absl::Status> AwaitSent(StatePtr call) {
  while (!call->outgoing.empty()) {
    if (call->over()) co_return Over(*call);
    if (call->send_deadline <= std::chrono::steady_clock::now()) {
      co_return absl::DeadlineExceededError("the handler did not take a message in time");
    }
    call->sent.Reset();
    const absl::Status waited = co_await call->sent.Wait(call->send_deadline);
    waited.IgnoreError();  // The deadline may have moved: it is looked at again above.
  }
  co_return absl::OkStatus();
}

// `message` stays with the caller.
Task<absl::Status> SendOn(SessionPtr session, StatePtr call, const v1::HandleRequest& message) {
  if (call->over()) co_return Over(*call);
  if (call->half_close || call->sending)
    co_return absl::FailedPreconditionError("a message after the end, or beside another");
  call->sending = true;
  // The start may still be there.
  absl::Status status = co_await AwaitSent(call);
  if (status.ok()) status = AppendGrpcMessage(message, &call->outgoing);
  if (status.ok()) {
    session->ResumeSending(*call);
    status = co_await AwaitSent(call);
  }
  call->sending = false;
  co_return status;
}

// Of one direction at least; if the other goes on, whoever gives the call up cancels it.
bool IsLastWord(const v1::HandleResponse& message) {
  if (message.has_forward())
    return !message.forward().inspect_response() && !message.forward().transform_request();
  if (message.has_pass_response()) return !message.pass_response().transform_body();
  return message.has_end() || message.has_request_end();
}

Task<absl::StatusOr<v1::HandleResponse>> ReceiveFrom(SessionPtr session, StatePtr call,
                                                     SteadyTime deadline) {
  while (true) {
    const std::optional<std::string_view> bytes = call->response.NextMessage();
    if (bytes.has_value()) {
      session->Consume(*call, kGrpcPrefixBytes + bytes->size());
      v1::HandleResponse message;
      if (message.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()))) {
        call->complete |= IsLastWord(message);
        co_return message;
      }
      absl::Status bad =
          absl::InternalError("the handler sent a message that is not a HandleResponse");
      session->Cancel(*call, bad);
      co_return bad;
    }
    if (call->response.result().has_value()) co_return *call->response.result();
    // What is here is part of a message that the caller wants whole.
    session->Consume(*call, call->owed);
    call->readable.Reset();
    const absl::Status waited = co_await call->readable.Wait(deadline);
    if (!waited.ok()) co_return absl::DeadlineExceededError("the handler sent nothing in time");
  }
}

// The answer, once the stream has ended well after it.
Task<absl::StatusOr<std::string>> ReceiveOnly(Http2Session& session, CallState& call,
                                              SteadyTime deadline) {
  std::optional<std::string> answer;
  while (true) {
    while (const std::optional<std::string_view> bytes = call.response.NextMessage()) {
      if (answer.has_value())
        co_return absl::InternalError("the handler sent two messages in answer to one");
      session.Consume(call, kGrpcPrefixBytes + bytes->size());
      answer = std::string(*bytes);
    }
    const std::optional<absl::Status>& result = call.response.result();
    if (result.has_value() && !absl::IsOutOfRange(*result)) co_return *result;
    if (result.has_value() && answer.has_value()) co_return *std::move(answer);
    if (result.has_value()) co_return absl::InternalError("the handler ended the call in silence");
    session.Consume(call, call.owed);
    call.readable.Reset();
    const absl::Status waited = co_await call.readable.Wait(deadline);
    if (!waited.ok()) co_return absl::DeadlineExceededError("the handler sent nothing in time");
  }
}

}  // namespace

Task<absl::StatusOr<std::string>> AskOnce(SessionPtr session, StatePtr state, std::string request,
                                          SteadyTime deadline) {
  absl::Status encoded = AppendGrpcBytes(request, &state->outgoing);
  if (!encoded.ok()) {
    session->Abandon(*state);
    co_return encoded;
  }
  state->half_close = true;
  session->ResumeSending(*state);
  absl::StatusOr<std::string> answer = co_await ReceiveOnly(*session, *state, deadline);
  session->Abandon(*state);
  co_return answer;
}

Http2Call::Http2Call(SessionPtr session, StatePtr state)
    : session_(std::move(session)), state_(std::move(state)) {}

Http2Call::~Http2Call() { session_->Abandon(*state_); }

absl::Status Http2Call::Start(const v1::HandleRequest& start) {
  if (state_->over()) return Over(*state_);
  absl::Status encoded = AppendGrpcMessage(start, &state_->outgoing);
  if (encoded.ok()) session_->ResumeSending(*state_);
  return encoded;
}

Task<absl::Status> Http2Call::Send(const v1::HandleRequest& message) {
  return SendOn(session_, state_, message);
}

void Http2Call::SetSendDeadline(SteadyTime deadline) {
  state_->send_deadline = deadline;
  state_->sent.Notify();
}

Task<absl::Status> Http2Call::FinishSending() {
  if (state_->over()) co_return Over(*state_);
  state_->half_close = true;
  session_->ResumeSending(*state_);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<v1::HandleResponse>> Http2Call::Receive(SteadyTime deadline) {
  return ReceiveFrom(session_, state_, deadline);
}

void Http2Call::Cancel() {
  session_->Cancel(*state_, absl::CancelledError("the call was given up"));
}

}  // namespace sallyport::proxy
