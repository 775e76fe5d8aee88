#include "agent/proxy/splice_body.h"

#include <optional>

namespace sallyport::proxy {
namespace {

// A pipe's fills in a row that did not have to wait, after which other connections get their turn.
constexpr int kTurn = 4;

// Until there is nothing more for now, or nothing more to be moved.
Task<SplicedBody> MoveThrough(PipePool::Pipe pipe, SplicedSource* source, SplicedSink* sink) {
  for (int turn = 1; CanSplice(source, sink); ++turn) {
    const absl::StatusOr<size_t> filled = source->Fill(&pipe);
    if (!filled.ok()) co_return SplicedBody{filled.status(), {}};
    if (*filled == 0) break;
    absl::Status drained = co_await sink->Drain(&pipe);
    if (!drained.ok()) co_return SplicedBody{{}, std::move(drained)};
    if (turn % kTurn == 0) co_await Yield();
  }
  co_return SplicedBody{};
}

}  // namespace

Task<SplicedBody> SpliceBody(SplicedSource* source, SplicedSink* sink) {
  PipePool& pool = boost::asio::use_service<PipePool>(co_await ThisContext());
  SplicedBody result;
  while (CanSplice(source, sink)) {
    std::optional<PipePool::Pipe> pipe = pool.Borrow();
    if (!pipe.has_value()) break;
    result = co_await MoveThrough(*std::move(pipe), source, sink);
    if (!result.source.ok() || !result.sink.ok() || !CanSplice(source, sink)) break;
    result.source = co_await source->AwaitMore();
    if (!result.source.ok()) break;
  }
  co_return result;
}

}  // namespace sallyport::proxy
