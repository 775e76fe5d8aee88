#include "common/builtin/path_pattern.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/builtin/safe_path.h"

namespace sallyport {
namespace {

constexpr size_t kMaxPatternBytes = 1024;
constexpr std::string_view kAnySegments = "**";
constexpr size_t kNone = std::string_view::npos;

std::string_view SegmentAt(std::string_view path, size_t begin) {
  return path.substr(begin, std::min(path.find('/', begin), path.size()) - begin);
}

// Where the next segment begins; kNone: there is none.
size_t NextSegment(std::string_view path, size_t begin) {
  const size_t slash = path.find('/', begin);
  return slash == kNone ? kNone : slash + 1;
}

// The last `*` alone is tried again: what an earlier one took never has to be longer.
bool MatchesSegment(std::string_view pattern, std::string_view segment) {
  size_t p = 0;
  size_t s = 0;
  size_t star = kNone;
  size_t star_end = 0;
  while (s < segment.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_end = s;
    } else if (p < pattern.size() && pattern[p] == segment[s]) {
      ++p;
      ++s;
    } else if (star != kNone) {
      p = star;
      s = ++star_end;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNone;
}

absl::Status Wrong(std::string_view what) { return absl::InvalidArgumentError(ToAbsl(what)); }

}  // namespace

absl::StatusOr<PathPattern> PathPattern::Parse(std::string_view text) {
  if (text.size() > kMaxPatternBytes) return Wrong("is longer than 1 KiB; shorten it");
  if (!text.starts_with('/')) return Wrong("does not begin with `/`; write a path, as /v1/*");
  if (text.find('?') != kNone)
    return Wrong("has a `?`; a query is not looked at: write the path alone");
  if (text.find('%') != kNone)
    return Wrong("has a `%`; it is compared with decoded paths: write the character itself");
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return Wrong("has a control byte");
  }
  std::string decoded;
  if (const std::string_view wrong = DecodePath(text, &decoded); !wrong.empty()) {
    return Wrong(StrCat("has ", wrong, ", with which no request passes; leave it out"));
  }
  PathPattern pattern;
  pattern.text_ = std::string(text);
  for (size_t begin = 1; begin != kNone; begin = NextSegment(text, begin)) {
    const std::string_view segment = SegmentAt(text, begin);
    if (segment != kAnySegments && segment.find(kAnySegments) != kNone) {
      return Wrong("has `**` beside other characters; write it as a whole segment, as /v1/**");
    }
    pattern.segments_.emplace_back(segment);
  }
  return pattern;
}

bool PathPattern::Matches(std::string_view path) const {
  if (!path.starts_with('/')) return false;
  size_t p = 0;
  size_t at = 1;
  size_t after_any = kNone;  // Of the last `**`: the pattern's next segment, …
  size_t any_end = 0;        // … and where in the path what it stands for ends.
  while (at != kNone) {
    if (p < segments_.size() && segments_[p] == kAnySegments) {
      after_any = ++p;
      any_end = at;
      if (p == segments_.size()) return true;
    } else if (p < segments_.size() && MatchesSegment(segments_[p], SegmentAt(path, at))) {
      ++p;
      at = NextSegment(path, at);
    } else if (after_any != kNone) {
      p = after_any;
      at = any_end = NextSegment(path, any_end);
    } else {
      return false;
    }
  }
  while (p < segments_.size() && segments_[p] == kAnySegments) ++p;
  return p == segments_.size();
}

}  // namespace sallyport
