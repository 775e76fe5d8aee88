#include "agent/proxy/relay.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>
#include <vector>

#include "agent/proxy/event.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

// The two directions of one relay; lives until both have ended.
struct Both {
  Both(boost::asio::io_context& context, Stream* client, Stream* upstream)
      : client(client), upstream(upstream), other_done(context) {}

  // Activity in either direction keeps both alive.
  void Touch() {
    const SteadyTime deadline = std::chrono::steady_clock::now() + kRelayIdleTime;
    client->SetDeadline(deadline);
    upstream->SetDeadline(deadline);
  }
  void ResetBoth() {
    client->Close(Stream::How::kReset);
    upstream->Close(Stream::How::kReset);
  }

  Stream* const client;
  Stream* const upstream;
  RelayedBytes bytes;
  Event other_done;
};

// Returns whether the direction came to a clean end that was passed on.
Task<bool> CopyOneWay(std::shared_ptr<Both> both, Stream* from, Stream* to, uint64_t* count) {
  std::vector<char> buffer(kBufferBytes);
  while (true) {
    both->Touch();
    const absl::StatusOr<size_t> read = co_await from->Read(buffer);
    if (!read.ok()) co_return false;
    if (*read == 0) {
      const absl::Status shut = co_await to->ShutdownWrite();
      co_return shut.ok();
    }
    both->Touch();
    const std::string_view piece(buffer.data(), *read);
    const absl::Status written = co_await to->Write(std::span(&piece, 1));
    if (!written.ok()) co_return false;
    *count += *read;
  }
}

Task<void> CopyToClient(std::shared_ptr<Both> both) {
  const bool clean =
      co_await CopyOneWay(both, both->upstream, both->client, &both->bytes.to_client);
  if (!clean) both->ResetBoth();
  both->other_done.Notify();
}

}  // namespace

Task<RelayedBytes> RelayBytes(boost::asio::io_context* context, Stream* client, Stream* upstream,
                              std::string early) {
  auto both = std::make_shared<Both>(*context, client, upstream);
  both->Touch();
  const std::string_view first = early;
  const absl::Status written = co_await upstream->Write(std::span(&first, 1));
  if (!written.ok()) {
    both->ResetBoth();
    co_return both->bytes;
  }
  both->bytes.from_client = early.size();
  boost::asio::co_spawn(*context, CopyToClient(both), boost::asio::detached);
  const bool clean = co_await CopyOneWay(both, client, upstream, &both->bytes.from_client);
  if (!clean) both->ResetBoth();
  // Ends: every wait of the other direction has a deadline.
  (void)co_await both->other_done.Wait(SteadyTime::max());
  client->Close(Stream::How::kGraceful);
  upstream->Close(Stream::How::kGraceful);
  co_return both->bytes;
}

}  // namespace sallyport::proxy
