#include "agent/proxy/body_pump.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sallyport::proxy {
namespace {

// gRPC messages to handlers carry at most this much of a body (handler.proto).
constexpr size_t kMaxHandlerPiece = 64 * 1024;

}  // namespace

BodyPump::BodyPump(const ClientConnection& client, ClientExchange* origin, HandlerCall* call)
    : client_(client.http),
      origin_(origin),
      call_(call),
      done_(*client.container->dial_context().context) {}

std::shared_ptr<BodyPump> BodyPump::ToOrigin(const ClientConnection& client, ClientExchange* origin,
                                             std::string_view first) {
  std::shared_ptr<BodyPump> pump(new BodyPump(client, origin, nullptr));
  boost::asio::co_spawn(*client.container->dial_context().context, Run(pump, first),
                        boost::asio::detached);
  return pump;
}

std::shared_ptr<BodyPump> BodyPump::ToHandler(const ClientConnection& client, HandlerCall* call) {
  std::shared_ptr<BodyPump> pump(new BodyPump(client, nullptr, call));
  boost::asio::co_spawn(*client.container->dial_context().context, Run(pump, ""),
                        boost::asio::detached);
  return pump;
}

Task<void> BodyPump::Run(std::shared_ptr<BodyPump> self, std::string_view first) {
  absl::Status passed;
  if (!first.empty()) passed = co_await self->Pass(first);
  // A receiver that takes no more has answered, or its answer will say why not.
  while (passed.ok() && !self->stopping_) {
    const absl::StatusOr<std::string_view> piece = co_await self->client_->body().Read();
    if (!piece.ok()) {
      if (!self->stopping_) self->client_status_ = piece.status();
      self->CutOff();
      break;
    }
    const bool end = piece->empty();
    passed = end ? co_await self->PassEnd() : co_await self->Pass(*piece);
    if (end) break;
  }
  self->done_.Notify();
}

Task<absl::Status> BodyPump::Pass(std::string_view piece) {
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
  if (!done_.notified()) {
    stopping_ = true;
    // Ends a read that waits for the client, and a write that waits for the receiver.
    client_->StopReading();
    CutOff();
    (void)co_await done_.Wait(SteadyTime::max());
  }
}

}  // namespace sallyport::proxy
