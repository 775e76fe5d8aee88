#include "agent/proxy/testing/h2_frames.h"

#include <nghttp2/nghttp2.h>

#include <cstdio>
#include <cstdlib>

namespace sallyport::proxy::h2 {
namespace {

constexpr size_t kFrameHead = 9;

uint64_t ReadNumber(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

// RFC 7541 section 5.1, with a prefix of 7 bits.
std::string Length(size_t value) {
  if (value < 127) return std::string(1, static_cast<char>(value));
  std::string text(1, 127);
  for (value -= 127; value >= 128; value /= 128)
    text.push_back(static_cast<char>(value % 128 + 128));
  text.push_back(static_cast<char>(value));
  return text;
}

}  // namespace

std::string Number(uint64_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    text.push_back(static_cast<char>(value >> shift));
  return text;
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  return Number(payload.size(), 3) + Number(type, 1) + Number(flags, 1) + Number(stream, 4) +
         std::string(payload);
}

std::string Preface() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, ""); }

std::string Settings(const std::vector<std::pair<uint16_t, uint32_t>>& settings) {
  std::string payload;
  for (const auto& [id, value] : settings) payload += Number(id, 2) + Number(value, 4);
  return Frame(kSettings, 0, 0, payload);
}

std::string SettingsAck() { return Frame(kSettings, kAck, 0, ""); }

std::string Block(const Fields& fields) {
  std::string block;
  for (const auto& [name, value] : fields) {
    block.push_back(0);
    block += Length(name.size()) + name + Length(value.size()) + value;
  }
  return block;
}

std::string Head(uint32_t stream, const Fields& fields, uint8_t flags) {
  return Frame(kHeaders, flags | kEndHeaders, stream, Block(fields));
}

std::string Data(uint32_t stream, std::string_view bytes, uint8_t flags) {
  return Frame(kData, flags, stream, bytes);
}

std::string Reset(uint32_t stream, uint32_t error) {
  return Frame(kRstStream, 0, stream, Number(error, 4));
}

std::string WindowUpdate(uint32_t stream, uint32_t increment) {
  return Frame(kWindowUpdate, 0, stream, Number(increment, 4));
}

std::string Ping(uint8_t flags) { return Frame(kPing, flags, 0, "12345678"); }

uint32_t ReceivedFrame::error() const {
  const std::string_view bytes = payload;
  return static_cast<uint32_t>(ReadNumber(bytes.substr(type == kGoAway ? 4 : 0, 4)));
}

std::string ReceivedFrame::Field(std::string_view name) const {
  for (const auto& [known, value] : fields) {
    if (known == name) return value;
  }
  return "";
}

FrameReader::FrameReader() { nghttp2_hd_inflate_new(&inflater_); }

FrameReader::~FrameReader() { nghttp2_hd_inflate_del(inflater_); }

std::vector<ReceivedFrame> FrameReader::Read(std::string_view bytes) {
  unread_.append(bytes);
  std::vector<ReceivedFrame> frames;
  while (unread_.size() >= kFrameHead) {
    const std::string_view head = unread_;
    const size_t length = ReadNumber(head.substr(0, 3));
    if (unread_.size() < kFrameHead + length) break;
    ReceivedFrame frame;
    frame.type = static_cast<uint8_t>(head[3]);
    frame.flags = static_cast<uint8_t>(head[4]);
    frame.stream = static_cast<uint32_t>(ReadNumber(head.substr(5, 4)));
    frame.payload = head.substr(kFrameHead, length);
    unread_.erase(0, kFrameHead + length);
    auto* at = reinterpret_cast<const uint8_t*>(frame.payload.data());
    size_t left = frame.type == kHeaders ? frame.payload.size() : 0;
    while (left > 0) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, at, left, 1);
      if (taken < 0) {
        std::fprintf(stderr, "a header block that cannot be read\n");
        std::abort();
      }
      at += taken;
      left -= static_cast<size_t>(taken);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        frame.fields.emplace_back(
            std::string(reinterpret_cast<char*>(field.name), field.namelen),
            std::string(reinterpret_cast<char*>(field.value), field.valuelen));
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    if (frame.type == kHeaders) nghttp2_hd_inflate_end_headers(inflater_);
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace sallyport::proxy::h2
