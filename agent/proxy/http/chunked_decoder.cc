#include "agent/proxy/http/chunked_decoder.h"

#include <algorithm>
#include <limits>

#include "agent/proxy/http/characters.h"

namespace sallyport::proxy {
namespace {

constexpr int kMaxDigits = 16;
constexpr uint64_t kMaxChunkBytes = std::numeric_limits<int64_t>::max();

// -1: not a hexadecimal digit.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::Next(std::string_view* bytes, std::string_view* data) {
  while (true) {
    if (state_ == State::kBad) return Step::kBad;
    if (state_ == State::kTrailers) return Step::kTrailers;
    if (bytes->empty()) return Step::kNeedMore;
    if (state_ == State::kData) {
      *data = bytes->substr(0, std::min<uint64_t>(bytes->size(), left_));
      bytes->remove_prefix(data->size());
      left_ -= data->size();
      if (left_ == 0) state_ = State::kDataCr;
      return Step::kData;
    }
    Take(bytes->front());
    if (state_ != State::kBad) bytes->remove_prefix(1);
  }
}

void ChunkedDecoder::Take(char c) {
  switch (state_) {
    case State::kSize:
      return TakeSize(c);
    case State::kExtension:
      return TakeExtension(c);
    case State::kSizeLf:
      if (c != '\n') return Fail("a CR without LF after a chunk's size");
      digits_ = 0;
      state_ = left_ == 0 ? State::kTrailers : State::kData;
      return;
    case State::kDataCr:
      if (c != '\r') return Fail("a chunk that is longer than its size");
      state_ = State::kDataLf;
      return;
    case State::kDataLf:
      if (c != '\n') return Fail("a CR without LF after a chunk");
      state_ = State::kSize;
      return;
    case State::kData:
    case State::kTrailers:
    case State::kBad:
      return;
  }
}

void ChunkedDecoder::TakeSize(char c) {
  const int value = HexValue(c);
  if (value >= 0) {
    if (digits_ == kMaxDigits) return Fail("a chunk size of too many digits");
    ++digits_;
    left_ = left_ << 4 | static_cast<uint64_t>(value);  // 16 digits fit.
    return;
  }
  if (digits_ == 0 || (c != '\r' && c != ';')) return Fail("a malformed chunk size");
  if (left_ > kMaxChunkBytes) return Fail("a chunk size that is too large");
  state_ = c == '\r' ? State::kSizeLf : State::kExtension;
}

// Extensions are dropped: nobody may rely on them (RFC 9112 section 7.1.1). But a quoted string
// that is open at the end of the line is where others might go on reading.
void ChunkedDecoder::TakeExtension(char c) {
  if (c == '\r') {
    if (quoted_) return Fail("an unfinished string in a chunk extension");
    state_ = State::kSizeLf;
    return;
  }
  if (c == '"' && !escaped_) quoted_ = !quoted_;
  escaped_ = quoted_ && c == '\\' && !escaped_;
  if (FieldTextLength({&c, 1}) == 0) return Fail("a control byte in a chunk extension");
  if (extension_bytes_left_ == 0) return Fail("too many bytes of chunk extensions");
  --extension_bytes_left_;
}

void ChunkedDecoder::Fail(const char* problem) {
  problem_ = problem;
  state_ = State::kBad;
}

}  // namespace sallyport::proxy
