// Bytes read from a stream and not yet consumed.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_READ_BUFFER_H_
#define SALLYPORT_AGENT_PROXY_HTTP_READ_BUFFER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Belongs to one worker. Consumed bytes stay where they are until the next Fill.
class ReadBuffer {
 public:
  static constexpr size_t kFullBytes = 16 * 1024;
  // While a peer is idle, which most are most of the time.
  static constexpr size_t kIdleBytes = 2 * 1024;

  // `stream` outlives this. `early` was read from it before.
  ReadBuffer(Stream* stream, std::string_view early);

  Stream* stream() const { return stream_; }
  std::string_view bytes() const { return {data_.get() + begin_, end_ - begin_}; }
  char* data() { return data_.get() + begin_; }
  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  // REQUIRES: count <= size().
  void Consume(size_t count) { begin_ += static_cast<uint32_t>(count); }

  // Reads what is there, at least one byte, into a buffer of `capacity` bytes, or larger if its
  // content needs it, or of kIdleBytes while its peer sends a little at a time. An empty one holds
  // no memory while it waits. Returns how many; 0: clean end.
  Task<absl::StatusOr<size_t>> Fill(size_t capacity);
  // All of it, and gives the memory back.
  std::string Take();
  // Gives the memory back. REQUIRES: empty().
  void Release();

 private:
  Task<absl::StatusOr<size_t>> WaitAndRead(size_t capacity);
  Task<absl::StatusOr<size_t>> ReadNow(size_t capacity);
  Task<absl::StatusOr<size_t>> AwaitRead(Task<absl::StatusOr<size_t>> read);
  absl::StatusOr<size_t> Took(absl::StatusOr<size_t> count);
  void MakeRoom(size_t capacity);

  Stream* const stream_;
  // A head's limit and kFullBytes bound it far below 4 GiB; half the size, for who is idle.
  std::unique_ptr<char[]> data_;
  uint32_t capacity_ = 0;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  bool trickles_ = false;  // The last read would have fitted a buffer far smaller than kIdleBytes.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_READ_BUFFER_H_
