#include "controlplane/testing/raw_http2.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "common/base/check.h"

namespace sallyport {
namespace {

constexpr size_t kHeadBytes = 9;
constexpr uint8_t kEndHeaders = 4;

std::chrono::steady_clock::time_point Patience() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(10);
}

UniqueFd Connect(const std::string& path) {
  UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SALLYPORT_CHECK(connection.valid());
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  SALLYPORT_CHECK(path.size() < sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  SALLYPORT_CHECK(
      connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  return connection;
}

// HPACK, RFC 7541 section 6.2.2: a literal, not indexed; lengths below 127.
void AddText(std::string_view text, std::string* block) {
  block->push_back(static_cast<char>(text.size()));
  block->append(text);
}

}  // namespace

RawHttp2::RawHttp2(const std::string& socket_path) : socket_(Connect(socket_path)) {
  reader_ = std::thread([this] { Read(); });
  Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  Send(kSettings, 0, 0, "");
}

RawHttp2::~RawHttp2() {
  shutdown(socket_.get(), SHUT_RDWR);
  reader_.join();
}

void RawHttp2::Send(Type type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string frame;
  const auto add = [&frame](uint32_t number, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) frame.push_back(static_cast<char>(number >> (8 * i)));
  };
  add(static_cast<uint32_t>(payload.size()), 3);
  add(type, 1);
  add(flags, 1);
  add(stream, 4);
  frame.append(payload);
  Write(frame);
}

void RawHttp2::OpenStream(uint32_t stream, std::string_view path) {
  std::string block;
  block.append("\x83\x86");  // :method POST, :scheme http.
  block.push_back('\x04');   // :path
  AddText(path, &block);
  block.push_back('\x01');  // :authority
  AddText("localhost", &block);
  block.append("\x0f\x10");  // content-type
  AddText("application/grpc", &block);
  block.push_back('\0');
  AddText("te", &block);
  AddText("trailers", &block);
  Send(kHeaders, kEndHeaders, stream, block);
}

std::optional<RawHttp2::Frame> RawHttp2::Await(Type type) {
  const auto deadline = Patience();
  MutexLock lock(&mutex_);
  while (true) {
    for (const Frame& frame : frames_) {
      if (frame.type == type) return frame;
    }
    if (ended_ || !arrived_.WaitUntil(&mutex_, deadline)) return std::nullopt;
  }
}

bool RawHttp2::AwaitEnd() {
  const auto deadline = Patience();
  MutexLock lock(&mutex_);
  while (!ended_) {
    if (!arrived_.WaitUntil(&mutex_, deadline)) return false;
  }
  return true;
}

uint32_t RawHttp2::Number(std::string_view bytes, size_t offset) {
  uint32_t number = 0;
  for (const char byte : bytes.substr(offset, 4)) {
    number = number << 8 | static_cast<unsigned char>(byte);
  }
  return number;
}

void RawHttp2::Read() {
  std::array<char, kHeadBytes> head;
  while (ReadWhole(head.data(), head.size())) {
    const uint32_t length = Number({head.data(), head.size()}, 0) >> 8;
    Frame frame{static_cast<uint8_t>(head[3]), std::string(length, '\0')};
    if (!ReadWhole(frame.payload.data(), length)) break;
    MutexLock lock(&mutex_);
    // Resets come by the thousand, and nobody asks for them.
    if (frame.type != kResetStream) frames_.push_back(std::move(frame));
    arrived_.SignalAll();
  }
  MutexLock lock(&mutex_);
  ended_ = true;
  arrived_.SignalAll();
}

bool RawHttp2::ReadWhole(char* bytes, size_t count) {
  while (count > 0) {
    const ssize_t read = recv(socket_.get(), bytes, count, 0);
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) return false;
    bytes += read;
    count -= static_cast<size_t>(read);
  }
  return true;
}

void RawHttp2::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace sallyport
