#include "agent/proxy/tls/socket_bio.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace sallyport::proxy {
namespace {

// A record of the largest size and most of the next one.
constexpr size_t kBufferSize = 32 * 1024;

}  // namespace

SocketBio::SocketBio(TcpStream* stream, std::string early)
    : stream_(stream), early_(std::move(early)) {}

bssl::UniquePtr<BIO> SocketBio::MakeBio() {
  bssl::UniquePtr<BIO> bio(BIO_new(Method()));
  if (bio != nullptr) {
    BIO_set_data(bio.get(), this);
    BIO_set_init(bio.get(), 1);
  }
  return bio;
}

std::optional<uint8_t> SocketBio::plain_alert() const {
  // RFC 8446 sections 5.1 and 6.
  constexpr std::string_view kFatalAlert("\x15\x03\x03\x00\x02\x02", 6);
  const std::string_view tail(tail_.data(), tail_.size());
  if (!tail.starts_with(kFatalAlert)) return std::nullopt;
  return static_cast<uint8_t>(tail.back());
}

void SocketBio::Detach() {
  stream_ = nullptr;
  error_ = ECANCELED;
}

const BIO_METHOD* SocketBio::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_read(made, &SocketBio::OnRead);
    BIO_meth_set_write(made, &SocketBio::OnWrite);
    BIO_meth_set_ctrl(made, &SocketBio::OnControl);
    return made;
  }();
  return method;
}

int SocketBio::OnRead(BIO* bio, char* out, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  return static_cast<SocketBio*>(BIO_get_data(bio))->Read(bio, out, static_cast<size_t>(size));
}

int SocketBio::OnWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  return static_cast<SocketBio*>(BIO_get_data(bio))->Write(bio, data, static_cast<size_t>(size));
}

long SocketBio::OnControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

int SocketBio::Read(BIO* bio, char* out, size_t size) {
  if (stream_ == nullptr) return -1;
  if (!early_.empty()) {
    const int count = Take(early_.data() + early_taken_, early_.size() - early_taken_, out, size);
    early_taken_ += static_cast<size_t>(count);
    if (early_taken_ == early_.size()) early_ = std::string();
    return count;
  }
  if (buffered_begin_ == buffered_end_) {
    if (buffer_ == nullptr) buffer_ = std::make_unique_for_overwrite<char[]>(kBufferSize);
    const ssize_t count = Receive(bio, buffer_.get(), kBufferSize);
    if (count <= 0) {
      buffer_.reset();
      return static_cast<int>(count);
    }
    buffered_begin_ = 0;
    buffered_end_ = static_cast<size_t>(count);
  }
  const int count =
      Take(buffer_.get() + buffered_begin_, buffered_end_ - buffered_begin_, out, size);
  buffered_begin_ += static_cast<size_t>(count);
  if (buffered_begin_ == buffered_end_) buffer_.reset();
  return count;
}

ssize_t SocketBio::Receive(BIO* bio, char* out, size_t size) {
  const ssize_t count = stream_->ReceiveNow(std::span(out, size));
  if (count == 0) ended_ = true;
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      BIO_set_retry_read(bio);
    } else {
      error_ = errno;
    }
  }
  return count;
}

int SocketBio::Take(const char* from, size_t available, char* out, size_t size) {
  const size_t count = std::min(available, size);
  std::memcpy(out, from, count);
  const size_t fresh = std::min(count, tail_.size());
  std::copy(tail_.begin() + fresh, tail_.end(), tail_.begin());
  std::memcpy(tail_.data() + tail_.size() - fresh, from + count - fresh, fresh);
  return static_cast<int>(count);
}

int SocketBio::Write(BIO* bio, const char* data, size_t size) {
  if (stream_ == nullptr) return -1;
  ssize_t count;
  do {
    count = ::send(stream_->native_handle(), data, size, MSG_NOSIGNAL);
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      BIO_set_retry_write(bio);
    } else {
      error_ = errno;
    }
  }
  return static_cast<int>(count);
}

}  // namespace sallyport::proxy
