#include "agent/proxy/relay.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <span>
#include <utility>

#include "agent/proxy/event.h"

namespace sallyport::proxy {
namespace {

// What a direction holds that is idle, as most are most of the time, and one that is busy.
constexpr size_t kIdleBytes = 4 * 1024;
constexpr size_t kBusyBytes = 64 * 1024;
// So many reads that would have fitted the small buffer make a busy direction an idle one.
constexpr int kPatience = 16;

class RelayBuffer {
 public:
  std::span<char> space() { return {data_.get(), capacity_}; }
  // REQUIRES: nothing of it is in use any more.
  void Adapt(size_t bytes_read) {
    small_reads_ = bytes_read <= kIdleBytes ? small_reads_ + 1 : 0;
    if (capacity_ == kIdleBytes) {
      if (bytes_read == kIdleBytes) Resize(kBusyBytes);
    } else if (small_reads_ >= kPatience) {
      Resize(kIdleBytes);
    }
  }

 private:
  void Resize(size_t capacity) {
    // Not make_unique, which would write zeros.
    data_.reset(new char[capacity]);
    capacity_ = capacity;
    small_reads_ = 0;
  }

  size_t capacity_ = kIdleBytes;
  std::unique_ptr<char[]> data_{new char[kIdleBytes]};
  int small_reads_ = 0;
};

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
  RelayBuffer buffer;
  while (true) {
    both->Touch();
    const absl::StatusOr<size_t> read = co_await from->Read(buffer.space());
    if (!read.ok()) co_return false;
    if (*read == 0) {
      const absl::Status shut = co_await to->ShutdownWrite();
      co_return shut.ok();
    }
    both->Touch();
    const std::string_view piece(buffer.space().data(), *read);
    const absl::Status written = co_await to->Write(std::span(&piece, 1));
    if (!written.ok()) co_return false;
    *count += *read;
    buffer.Adapt(*read);
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
