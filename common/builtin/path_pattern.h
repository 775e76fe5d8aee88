// A pattern of paths, as in `allow_paths`.

#ifndef SALLYPORT_COMMON_BUILTIN_PATH_PATTERN_H_
#define SALLYPORT_COMMON_BUILTIN_PATH_PATTERN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport {

// Segment by segment: `*` is any run of characters in a segment, the empty one too; a segment `**`
// is any number of segments, none too. No other character is special. Immutable.
class PathPattern {
 public:
  // Decoded text that begins with "/". INVALID_ARGUMENT with half a sentence: what is wrong, what
  // to write instead.
  static absl::StatusOr<PathPattern> Parse(std::string_view text);

  // `path`: from DecodePath. Costs at most its length times the pattern's.
  bool Matches(std::string_view path) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> segments_;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_PATH_PATTERN_H_
