// Takes the chunked coding off a body (RFC 9112 section 7.1), strictly.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_CHUNKED_DECODER_H_
#define SALLYPORT_AGENT_PROXY_HTTP_CHUNKED_DECODER_H_

#include <cstdint>
#include <string_view>

namespace sallyport::proxy {

// Knows where in a body it is. Holds no bytes. A value.
class ChunkedDecoder {
 public:
  // `max_extension_bytes`: of all chunks of the body together.
  explicit ChunkedDecoder(size_t max_extension_bytes)
      : extension_bytes_left_(max_extension_bytes) {}

  enum class Step {
    kNeedMore,  // Everything was taken, and it ended within the framing.
    kData,      // `data` is set, and not empty.
    kTrailers,  // The last chunk was taken: the trailer section follows.
    kBad,       // See problem().
  };
  // Takes what it can off the front of `bytes`, up to the next piece of data.
  Step Next(std::string_view* bytes, std::string_view* data);
  const char* problem() const { return problem_; }

 private:
  enum class State { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailers, kBad };

  // Each takes one byte of framing.
  void Take(char c);
  void TakeSize(char c);
  void TakeExtension(char c);
  void Fail(const char* problem);

  State state_ = State::kSize;
  int digits_ = 0;
  bool quoted_ = false;   // Within a quoted string of an extension.
  bool escaped_ = false;  // After a backslash in it.
  uint64_t left_ = 0;     // Of the current chunk.
  size_t extension_bytes_left_;
  const char* problem_ = "";
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_CHUNKED_DECODER_H_
