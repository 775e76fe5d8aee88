#include "agent/proxy/http/read_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sallyport::proxy {

ReadBuffer::ReadBuffer(Stream* stream, std::string_view early) : stream_(stream) {
  if (early.empty()) return;
  MakeRoom(early.size());
  std::memcpy(data_.get(), early.data(), early.size());
  end_ = static_cast<uint32_t>(early.size());
}

Task<absl::StatusOr<size_t>> ReadBuffer::Fill(size_t capacity) {
  if (trickles_) capacity = std::min(capacity, kIdleBytes);
  return stream_->MayBeReadable() ? ReadNow(capacity) : WaitAndRead(capacity);
}

Task<absl::StatusOr<size_t>> ReadBuffer::WaitAndRead(size_t capacity) {
  if (empty()) Release();
  const absl::Status readable = co_await stream_->WaitReadable();
  if (!readable.ok()) co_return readable;
  co_return co_await ReadNow(capacity);
}

Task<absl::StatusOr<size_t>> ReadBuffer::ReadNow(size_t capacity) {
  MakeRoom(capacity);
  Task<absl::StatusOr<size_t>> read =
      stream_->Read(std::span<char>(data_.get() + end_, capacity_ - end_));
  if (read.is_over()) return Took(std::move(read).Take());
  return AwaitRead(std::move(read));
}

Task<absl::StatusOr<size_t>> ReadBuffer::AwaitRead(Task<absl::StatusOr<size_t>> read) {
  co_return Took(co_await std::move(read));
}

absl::StatusOr<size_t> ReadBuffer::Took(absl::StatusOr<size_t> count) {
  if (!count.ok()) return count;
  end_ += static_cast<uint32_t>(*count);
  trickles_ = *count < kIdleBytes / 2;
  return count;
}

std::string ReadBuffer::Take() {
  std::string taken(bytes());
  Release();
  return taken;
}

void ReadBuffer::Release() {
  data_ = nullptr;
  capacity_ = begin_ = end_ = 0;
}

void ReadBuffer::MakeRoom(size_t capacity) {
  const size_t held = size();
  if (held >= capacity) capacity = 2 * held;
  const bool much_too_large = capacity_ > 4 * capacity;
  if (capacity_ < capacity || much_too_large) {
    // Not make_unique, which would write zeros.
    std::unique_ptr<char[]> larger(new char[capacity]);
    if (held > 0) std::memcpy(larger.get(), data_.get() + begin_, held);
    data_ = std::move(larger);
    capacity_ = static_cast<uint32_t>(capacity);
  } else if (begin_ > 0 && held > 0) {
    std::memmove(data_.get(), data_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = static_cast<uint32_t>(held);
}

}  // namespace sallyport::proxy
