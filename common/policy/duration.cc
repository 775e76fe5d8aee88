#include "common/policy/duration.h"

#include <string>

#include "common/base/strings.h"

namespace sallyport {
namespace {

std::string Text(int64_t ms) {
  if (ms != 0 && ms % 60'000 == 0) return StrCat(ms / 60'000, " min");
  if (ms != 0 && ms % 1000 == 0) return StrCat(ms / 1000, " s");
  return StrCat(ms, " ms");
}

}  // namespace

absl::StatusOr<int64_t> ParseMilliseconds(const google::protobuf::Duration& duration,
                                          int64_t min_ms, int64_t max_ms) {
  const bool is_whole_ms = duration.nanos() % 1'000'000 == 0 && duration.nanos() >= 0;
  // Compared in seconds first: the product of a hostile value would overflow.
  if (is_whole_ms && duration.nanos() < 1'000'000'000 && duration.seconds() >= 0 &&
      duration.seconds() <= max_ms / 1000) {
    const int64_t ms = duration.seconds() * 1000 + duration.nanos() / 1'000'000;
    if (ms >= min_ms && ms <= max_ms) return ms;
  }
  return absl::InvalidArgumentError(
      StrCat("must be whole milliseconds from ", Text(min_ms), " to ", Text(max_ms)));
}

void SetMilliseconds(int64_t ms, google::protobuf::Duration* duration) {
  duration->set_seconds(ms / 1000);
  duration->set_nanos(static_cast<int32_t>(ms % 1000 * 1'000'000));
}

}  // namespace sallyport
