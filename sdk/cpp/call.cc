#include "sdk/cpp/call.h"

#include <exception>
#include <utility>

#include "sdk/cpp/answer_writer.h"
#include "sdk/cpp/mediation.h"
#include "sdk/cpp/request_builder.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

constexpr size_t kMaxPieceBytes = 64 * 1024;

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

v1::HandleResponse EndMessage() {
  v1::HandleResponse message;
  message.mutable_end();
  return message;
}

// Held back until something follows. Not for the first message of a call: gRPC sends its metadata
// with it, and does not count that as done before it is out.
grpc::WriteOptions MoreFollows() { return grpc::WriteOptions().set_buffer_hint(); }

// Thrown by user code; its text is not for the other side.
absl::Status Threw() { return absl::InternalError("the handler threw an exception"); }

}  // namespace

Call* Call::Start(const CallSettings* settings, const grpc::CallbackServerContext& context) {
  const std::shared_ptr<Call> call(new Call(settings));
  const auto token = context.client_metadata().find("sallyport-identity");
  if (token != context.client_metadata().end())
    call->identity_token_.assign(token->second.data(), token->second.size());
  MutexLock lock(&call->mutex_);
  call->self_ = call;
  call->StartRead(&call->received_);
  return call.get();
}

void Call::OnReadDone(bool ok) {
  const std::shared_ptr<Call> self = shared_from_this();
  {
    MutexLock lock(&mutex_);
    reading_ = false;
    read_ok_ = ok;
    if (std::exchange(begun_, true)) {
      changed_.SignalAll();
      return;
    }
  }
  Begin(ok);
}

void Call::OnWriteDone(bool ok) {
  const std::shared_ptr<Call> self = shared_from_this();
  {
    MutexLock lock(&mutex_);
    writing_ = false;
    write_ok_ = ok;
    if (!response_.has_value()) {
      changed_.SignalAll();
      return;
    }
  }
  SendNextPiece();
}

void Call::OnDone() {
  std::shared_ptr<Call> self;
  MutexLock lock(&mutex_);
  self = std::move(self_);
}

void Call::Begin(bool ok) {
  if (!ok || !received_.has_start()) {
    return Fail(absl::InvalidArgumentError("a call begins with a start message"));
  }
  handler_name_ = received_.start().context().handler();
  const auto found = settings_.handlers.find(handler_name_);
  if (found == settings_.handlers.end()) {
    return Fail(absl::NotFoundError("this service has no handler of the name " + handler_name_));
  }
  const HandlerPtr handler = &found->second;
  if (settings_.pool == nullptr) return Run(handler);
  settings_.pool->Add([self = shared_from_this(), handler] { self->Run(handler); });
}

void Call::Run(HandlerPtr handler) {
  v1::RequestStart start = std::move(*received_.mutable_start());
  Context context = RequestBuilder::BuildContext(std::move(*start.mutable_context()));
  context.identity_token = std::move(identity_token_);
  const Request request = RequestBuilder::BuildRequest(std::move(start), this);
  Act(Ask(*handler, request, context));
}

void Call::Act(Answer answer) {
  if (const auto* status = std::get_if<absl::Status>(&answer)) {
    Fail(status->ok() ? absl::InternalError("the handler answered with the status OK") : *status);
  } else if (auto* respond = std::get_if<Respond>(&answer)) {
    AnswerWriter::Stream(*respond) ? Stream(*respond) : Send(std::move(*respond));
  } else if (auto& forward = std::get<Forward>(answer);
             body_asked_ && !AnswerWriter::HasBody(forward)) {
    Fail(absl::InternalError("the handler forwards a request whose body it has read"));
  } else if (AnswerWriter::GoesOn(forward)) {
    Mediate(std::move(forward));
  } else {
    FinishWith(AnswerWriter::Message(forward));
  }
}

Answer Call::Ask(const HandlerFunction& handler, const Request& request, const Context& context) {
  try {
    return handler(request, context);
  } catch (const std::exception& thrown) {
    settings_.on_exception(handler_name_, thrown.what());
  } catch (...) {
    settings_.on_exception(handler_name_, "not a std::exception");
  }
  return Threw();
}

void Call::Send(Respond respond) {
  MutexLock lock(&mutex_);
  sending_ = AnswerWriter::Head(respond);
  response_ = std::move(respond);
  StartWrite(&sending_);
}

// Runs after each write of a response, on gRPC's thread: a slow container holds no thread of the
// pool.
void Call::SendNextPiece() {
  {
    MutexLock lock(&mutex_);
    const std::string_view rest =
        std::string_view(AnswerWriter::Body(*response_)).substr(body_sent_);
    if (write_ok_ && !rest.empty()) {
      sending_.set_body(std::string(rest.substr(0, kMaxPieceBytes)));
      body_sent_ += sending_.body().size();
      return StartWrite(&sending_,
                        rest.size() > kMaxPieceBytes ? grpc::WriteOptions() : MoreFollows());
    }
  }
  FinishWith(EndMessage());
}

void Call::Stream(const Respond& respond) {
  if (settings_.pool == nullptr) {
    return Fail(absl::FailedPreconditionError("bodies cannot be streamed with max_threads = 0"));
  }
  WriteMessage(AnswerWriter::Head(respond));
  const absl::Status status = Catch([&] {
    AnswerWriter::Stream(respond)(*this);
    return absl::OkStatus();
  });
  status.ok() ? FinishWith(EndMessage()) : Fail(status);
}

void Call::Mediate(Forward forward) {
  if (settings_.pool == nullptr) {
    return Fail(absl::FailedPreconditionError(
        "bodies cannot be transformed, nor answers inspected, with max_threads = 0"));
  }
  Mediation mediation(this, std::move(forward), body_ended_);
  const absl::Status status = Catch([&] { return mediation.Run(); });
  MutexLock lock(&mutex_);
  Finish(ToGrpc(status));
}

absl::Status Call::Catch(const std::function<absl::Status()>& work) {
  try {
    return work();
  } catch (const std::exception& thrown) {
    settings_.on_exception(handler_name_, thrown.what());
  } catch (...) {
    settings_.on_exception(handler_name_, "not a std::exception");
  }
  return Threw();
}

bool Call::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    v1::HandleResponse message;
    message.set_body(std::string(bytes.substr(0, kMaxPieceBytes)));
    bytes.remove_prefix(message.body().size());
    if (!WriteMessage(std::move(message))) return false;
  }
  return true;
}

absl::StatusOr<std::optional<std::string>> Call::NextPiece() {
  if (body_ended_) return std::nullopt;
  if (settings_.pool == nullptr) {
    return absl::FailedPreconditionError("bodies cannot be read with max_threads = 0");
  }
  if (!std::exchange(body_asked_, true)) {
    v1::HandleResponse ask;
    ask.mutable_read_body();
    WriteMessage(std::move(ask));
  }
  if (ReadMessage() == nullptr) return absl::CancelledError("the container hung up");
  if (received_.has_body()) return std::move(*received_.mutable_body());
  if (!received_.has_end()) return absl::InvalidArgumentError("a message that is no body");
  body_ended_ = true;
  return std::nullopt;
}

v1::HandleRequest* Call::ReadMessage() {
  MutexLock lock(&mutex_);
  reading_ = true;
  StartRead(&received_);
  while (reading_) changed_.Wait(&mutex_);
  return read_ok_ ? &received_ : nullptr;
}

bool Call::WriteMessage(v1::HandleResponse message) {
  MutexLock lock(&mutex_);
  if (!write_ok_) return false;
  writing_ = true;
  sending_ = std::move(message);
  StartWrite(&sending_);
  while (writing_) changed_.Wait(&mutex_);
  return write_ok_;
}

void Call::FinishWith(v1::HandleResponse last) {
  MutexLock lock(&mutex_);
  sending_ = std::move(last);
  StartWriteAndFinish(&sending_, grpc::WriteOptions(), grpc::Status::OK);
}

void Call::Fail(const absl::Status& status) {
  MutexLock lock(&mutex_);
  Finish(ToGrpc(status));
}

}  // namespace handler_sdk
}  // namespace sallyport
