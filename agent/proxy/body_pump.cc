#include "agent/proxy/body_pump.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sallyport::proxy {
namespace {

// gRPC messages to handlers carry at most this much of a body (handler.proto).
constexpr size_t kMaxHandlerPiece = 64 * 1024;

}  // namespace

BodyPump::BodyPump(const ClientConnection& client, ClientExchange* origin, HandlerCall* call,
                   Begin begin)
    : client_(client.http),
      origin_(origin),
      call_(call),
      go_on_(*client.container->dial_context().context),
      receiver_(*client.container->dial_context().context),
      done_(*client.container->dial_context().context),
      unasked_(begin == Begin::kWhenAsked) {}

std::shared_ptr<BodyPump> BodyPump::ToOrigin(const ClientConnection& client, ClientExchange* origin,
                                             std::string_view first, Begin begin) {
  std::shared_ptr<BodyPump> pump(new BodyPump(client, origin, nullptr, begin));
  boost::asio::co_spawn(*client.container->dial_context().context, Run(pump, first),
                        boost::asio::detached);
  return pump;
}

std::shared_ptr<BodyPump> BodyPump::ToHandler(const ClientConnection& client, HandlerCall* call) {
  std::shared_ptr<BodyPump> pump(new BodyPump(client, nullptr, call, Begin::kNow));
  boost::asio::co_spawn(*client.container->dial_context().context, Run(pump, ""),
                        boost::asio::detached);
  return pump;
}

Task<void> BodyPump::Run(std::shared_ptr<BodyPump> self, std::string_view first) {
  absl::Status passed;
  if (self->unasked_) {
    const SteadyTime until = std::chrono::steady_clock::now() + kAskAnyway;
    (void)co_await self->go_on_.Wait(until);
  }
  if (!self->stopping_) self->unasked_ = false;
  if (!first.empty()) passed = co_await self->Pass(first);
  // A receiver that takes no more has answered, or its answer will say why not.
  while (passed.ok() && !self->stopping_) {
    const absl::StatusOr<std::string_view> piece = co_await self->client_->body().Read();
    if (!piece.ok()) {
      if (!self->stopping_) self->client_status_ = piece.status();
      self->CutOff();
      break;
    }
    co_await self->AwaitReceiver();
    if (self->stopping_) break;
    const bool end = piece->empty();
    passed = end ? co_await self->PassEnd() : co_await self->Pass(*piece);
    if (end) break;
  }
  self->done_.Notify();
}

Task<void> BodyPump::AwaitReceiver() {
  while (origin_ == nullptr && call_ == nullptr && !stopping_) {
    receiver_.Reset();
    // Whoever let go has its own deadline.
    (void)co_await receiver_.Wait(SteadyTime::max());
  }
}

bool BodyPump::LetGo() {
  if (passed_) return false;
  origin_ = nullptr;
  return true;
}

void BodyPump::UseOrigin(ClientExchange* origin) {
  origin_ = origin;
  receiver_.Notify();
  // It is over already, without having had anything to pass.
  if (done_.notified()) CutOff();
}

Task<absl::Status> BodyPump::Pass(std::string_view piece) {
  passed_ = true;
  if (origin_ != nullptr) co_return co_await origin_->WriteBody(piece);
  while (!piece.empty()) {
    v1::HandleRequest message;
    message.set_body(std::string(piece.substr(0, kMaxHandlerPiece)));
    const absl::Status sent = co_await call_->Send(message);
    if (!sent.ok()) co_return sent;
    piece.remove_prefix(std::min(piece.size(), kMaxHandlerPiece));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> BodyPump::PassEnd() {
  passed_ = true;
  if (origin_ != nullptr) co_return co_await origin_->FinishBody(client_->body().trailers());
  v1::HandleRequest message;
  for (const Header& trailer : client_->body().trailers().fields()) {
    v1::Header* copy = message.mutable_end()->add_trailers();
    copy->set_name(trailer.name);
    copy->set_value(trailer.value);
  }
  message.mutable_end();
  const absl::Status sent = co_await call_->Send(message);
  if (!sent.ok()) co_return sent;
  co_return co_await call_->FinishSending();
}

void BodyPump::CutOff() {
  if (origin_ != nullptr) origin_->Abort();
  if (call_ != nullptr) call_->Cancel();
}

Task<void> BodyPump::Stop() {
  if (done_.notified()) co_return;
  stopping_ = true;
  go_on_.Notify();
  receiver_.Notify();
  // Ends a read that waits for the client, and a write that waits for the receiver. There is
  // neither if nobody has asked for the body: the receiver's answer may be on its way.
  if (!unasked_) {
    client_->StopReading();
    CutOff();
  }
  (void)co_await done_.Wait(SteadyTime::max());
}

}  // namespace sallyport::proxy
