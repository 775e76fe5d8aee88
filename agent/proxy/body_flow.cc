#include "agent/proxy/body_flow.h"

#include <chrono>
#include <utility>

namespace sallyport::proxy {
namespace {

class OriginSink final : public BodySink {
 public:
  explicit OriginSink(ClientExchange* origin) : origin_(origin) {}
  Task<absl::Status> Write(std::string_view piece) override { return origin_->WriteBody(piece); }
  Task<absl::Status> Finish(const Headers& trailers) override {
    return origin_->FinishBody(trailers);
  }
  void CutOff() override { origin_->Abort(); }

 private:
  ClientExchange* const origin_;
};

}  // namespace

std::shared_ptr<BodyFlow> BodyFlow::Start(boost::asio::io_context& context, Source source,
                                          std::unique_ptr<BodySink> sink, std::string_view first) {
  std::shared_ptr<BodyFlow> flow(new BodyFlow(context, std::move(source), std::move(sink)));
  Spawn(context, Run(flow, first));
  return flow;
}

Task<void> BodyFlow::Run(std::shared_ptr<BodyFlow> self, std::string_view first) {
  co_await self->Move(first);
  if (!self->source_status_.ok() || absl::IsInvalidArgument(self->sink_status_)) {
    self->sink_->CutOff();
  }
  if (!self->sink_status_.ok() && self->source_.on_unwanted != nullptr) self->source_.on_unwanted();
  self->over_since_ = std::chrono::steady_clock::now();
  self->done_.Notify();
}

Task<void> BodyFlow::Move(std::string_view first) {
  if (!first.empty()) sink_status_ = co_await sink_->Write(first);
  // A receiver that takes no more has answered, or its answer will say why not.
  while (sink_status_.ok() && !stopping_) {
    const absl::StatusOr<std::string_view> piece = co_await source_.body->Read();
    if (!piece.ok()) {
      if (!stopping_) source_status_ = piece.status();
      co_return;
    }
    if (stopping_) co_return;
    if (piece->empty()) {
      sink_status_ = co_await sink_->Finish(source_.body->trailers());
      co_return;
    }
    sink_status_ = co_await sink_->Write(*piece);
  }
}

Task<void> BodyFlow::Stop() {
  if (done_.notified()) co_return;
  stopping_ = true;
  source_.stop();
  sink_->CutOff();
  (void)co_await done_.Wait(SteadyTime::max());
}

BodyFlow::Source BodyOf(ServerExchange* client) {
  return {&client->body(), [client] { client->StopReading(); }};
}

std::unique_ptr<BodySink> SinkOf(ClientExchange* origin) {
  return std::make_unique<OriginSink>(origin);
}

}  // namespace sallyport::proxy
