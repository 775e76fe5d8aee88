// Two connected streams in memory, with faults.

#ifndef SALLYPORT_AGENT_PROXY_TESTING_MEMORY_STREAM_H_
#define SALLYPORT_AGENT_PROXY_TESTING_MEMORY_STREAM_H_

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// What goes wrong on one end. Positions count the bytes since the beginning, of the direction
// concerned.
struct Faults {
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

  size_t max_read = std::numeric_limits<size_t>::max();  // A Read gives at most so many bytes.
  uint64_t reset_read_at = kNever;                       // Reads beyond fail with UNAVAILABLE.
  uint64_t stall_read_at = kNever;   // Reads beyond wait until the deadline or Close.
  uint64_t reset_write_at = kNever;  // Writes beyond fail with UNAVAILABLE.
  uint64_t stall_write_at = kNever;  // Writes beyond wait until the deadline or Close.
  size_t capacity = 64 * 1024;       // A Write waits while the peer has so many bytes unread.
};

// See Stream. Belongs to one worker.
class MemoryStream final : public Stream {
 public:
  using Pair = std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>>;
  static Pair MakePair(boost::asio::io_context& context);
  ~MemoryStream() override;

  void set_faults(const Faults& faults);
  // Puts bytes where Read finds them, as if the peer had written them.
  void Receive(std::string_view bytes);
  // As if the peer had ended its writing direction.
  void ReceiveEnd();
  // Every byte that was written so far, and with how many calls of Write.
  const std::string& written() const;
  int write_calls() const;
  // Closed here or by the peer with How::kReset.
  bool was_reset() const;
  bool closed() const;
  SteadyTime deadline() const;

  Task<absl::StatusOr<size_t>> Read(std::span<char> buffer) override;
  Task<absl::Status> Write(std::span<const std::string_view> pieces) override;
  Task<absl::Status> ShutdownWrite() override;
  void Close(How how) override;
  void SetDeadline(SteadyTime deadline) override;
  bool ReadableNow() override;
  void OnHangUp(std::function<void(HangUp)> callback) override;

  struct State;

 private:
  explicit MemoryStream(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;  // Kept alive by pending operations.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TESTING_MEMORY_STREAM_H_
