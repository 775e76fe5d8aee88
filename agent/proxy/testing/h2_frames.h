// HTTP/2 frames as bytes, legal ones and others.

#ifndef SALLYPORT_AGENT_PROXY_TESTING_H2_FRAMES_H_
#define SALLYPORT_AGENT_PROXY_TESTING_H2_FRAMES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct nghttp2_hd_inflater;

namespace sallyport::proxy::h2 {

using Fields = std::vector<std::pair<std::string, std::string>>;

enum Type : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
inline constexpr uint8_t kEndStream = 0x1;
inline constexpr uint8_t kAck = 0x1;
inline constexpr uint8_t kEndHeaders = 0x4;
inline constexpr uint8_t kPadded = 0x8;

std::string Number(uint64_t value, int bytes);  // Big-endian.
std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
// A client's, with an empty SETTINGS.
std::string Preface();
std::string Settings(const std::vector<std::pair<uint16_t, uint32_t>>& settings);
std::string SettingsAck();
// Literals without indexing and without Huffman coding (RFC 7541 section 6.2.2).
std::string Block(const Fields& fields);
std::string Head(uint32_t stream, const Fields& fields, uint8_t flags = kEndStream);
std::string Data(uint32_t stream, std::string_view bytes, uint8_t flags = 0);
std::string Reset(uint32_t stream, uint32_t error);
std::string WindowUpdate(uint32_t stream, uint32_t increment);
std::string Ping(uint8_t flags = 0);

struct ReceivedFrame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;
  Fields fields;  // Of HEADERS.

  bool Has(uint8_t flag) const { return (flags & flag) != 0; }
  // Of RST_STREAM and GOAWAY.
  uint32_t error() const;
  std::string Field(std::string_view name) const;
};

// Takes frames apart; keeps the header table of one connection. CHECKs that they are whole.
class FrameReader {
 public:
  FrameReader();
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  // Whole frames, in order; the rest is kept for the next call.
  std::vector<ReceivedFrame> Read(std::string_view bytes);

 private:
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string unread_;
};

}  // namespace sallyport::proxy::h2

#endif  // SALLYPORT_AGENT_PROXY_TESTING_H2_FRAMES_H_
