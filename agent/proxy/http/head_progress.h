// When to try to parse a head that comes in piece by piece.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_HEAD_PROGRESS_H_
#define SALLYPORT_AGENT_PROXY_HTTP_HEAD_PROGRESS_H_

#include <string_view>

#include "agent/proxy/http/h1_parse.h"

namespace sallyport::proxy {

// A head is parsed from its beginning each time. Trying once for each line, of which there are at
// most as many as headers, keeps a sender of single bytes from costing the square of its bytes.
class HeadProgress {
 public:
  explicit HeadProgress(const H1Limits& limits) : limits_(limits) {}

  // `bytes`: everything so far.
  bool WorthParsing(std::string_view bytes) {
    constexpr size_t kEmptyLineAndLineEnd = 4;
    const bool new_line = bytes.find('\n', seen_) != std::string_view::npos;
    seen_ = bytes.size();
    has_line_ = has_line_ || new_line;
    if (new_line) return true;
    if (!has_line_) return seen_ > limits_.request_line_bytes + kEmptyLineAndLineEnd;
    return seen_ > limits_.head_bytes;
  }

 private:
  const H1Limits& limits_;
  size_t seen_ = 0;
  bool has_line_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_HEAD_PROGRESS_H_
