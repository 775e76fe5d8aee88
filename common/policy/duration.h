// Durations of the API in milliseconds.

#ifndef SALLYPORT_COMMON_POLICY_DURATION_H_
#define SALLYPORT_COMMON_POLICY_DURATION_H_

#include <google/protobuf/duration.pb.h>

#include <cstdint>

#include "absl/status/statusor.h"

namespace sallyport {

// INVALID_ARGUMENT, without the field's path: not whole milliseconds from `min_ms` to `max_ms`.
absl::StatusOr<int64_t> ParseMilliseconds(const google::protobuf::Duration& duration,
                                          int64_t min_ms, int64_t max_ms);

// REQUIRES: ms >= 0.
void SetMilliseconds(int64_t ms, google::protobuf::Duration* duration);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_DURATION_H_
