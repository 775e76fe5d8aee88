#include "agent/proxy/body_pump.h"

#include <utility>

#include "agent/proxy/forged_headers.h"
#include "agent/proxy/splice_body.h"

namespace sallyport::proxy {

BodyPump::BodyPump(const ClientConnection& client, ClientExchange* origin, Begin begin,
                   Forged forged, std::vector<std::string> withheld)
    : client_(client.http),
      origin_(origin),
      forged_(forged),
      withheld_(std::move(withheld)),
      go_on_(*client.container->dial_context().context),
      receiver_(*client.container->dial_context().context),
      done_(*client.container->dial_context().context),
      unasked_(begin == Begin::kWhenAsked) {}

std::shared_ptr<BodyPump> BodyPump::ToOrigin(const ClientConnection& client, ClientExchange* origin,
                                             std::string_view first, Begin begin,
                                             std::vector<std::string> withheld) {
  std::shared_ptr<BodyPump> pump(
      new BodyPump(client, origin, begin, IsSallyportHeader, std::move(withheld)));
  Spawn(*client.container->dial_context().context, Run(pump, first));
  return pump;
}

std::shared_ptr<BodyPump> BodyPump::ToHandler(const ClientConnection& client,
                                              ClientExchange* handler) {
  std::shared_ptr<BodyPump> pump(new BodyPump(client, handler, Begin::kNow, SaysWhoAsks, {}));
  Spawn(*client.container->dial_context().context, Run(pump, ""));
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
    // Not before it is clear who receives it.
    if (self->passed_ && CanSplice(self->client_->body().spliced(), self->origin_->spliced())) {
      const SplicedBody spliced =
          co_await SpliceBody(self->client_->body().spliced(), self->origin_->spliced());
      if (!spliced.source.ok()) self->BreakOff(spliced.source);
      if (!spliced.source.ok() || !spliced.sink.ok() || self->stopping_) break;
    }
    const absl::StatusOr<std::string_view> piece = co_await self->client_->body().Read();
    if (!piece.ok()) {
      self->BreakOff(piece.status());
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
  while (origin_ == nullptr && !stopping_) {
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
  co_return co_await origin_->WriteBody(piece);
}

Task<absl::Status> BodyPump::PassEnd() {
  passed_ = true;
  Headers trailers = client_->body().trailers();
  trailers.RemoveIf([this](const Header& field) { return forged_(field.name); });
  for (const std::string& name : withheld_) {
    trailers.RemoveIf([&](const Header& field) { return IsSameVariable(field.name, name); });
  }
  co_return co_await origin_->FinishBody(trailers);
}

void BodyPump::BreakOff(const absl::Status& status) {
  if (!stopping_) client_status_ = status;
  CutOff();
}

void BodyPump::CutOff() {
  if (origin_ != nullptr) origin_->Abort();
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
