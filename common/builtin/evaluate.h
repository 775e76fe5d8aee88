// What a built-in handler does with a request. Pure: no clock, no secrets, no I/O.

#ifndef SALLYPORT_COMMON_BUILTIN_EVALUATE_H_
#define SALLYPORT_COMMON_BUILTIN_EVALUATE_H_

#include <string>
#include <string_view>
#include <variant>

#include "common/builtin/builtin_request.h"
#include "common/builtin/builtin_spec.h"

namespace sallyport {

// Nothing leaves.
struct BuiltinRefusal {
  int status;
  std::string_view reason;  // For audit records and the container: "path_not_allowed".
  std::string detail;       // A sentence for the operator.
};
// `response` lives as long as the handler.
struct BuiltinRespond {
  const BuiltinSpec::Response* response;
};
struct BuiltinRedirect {
  int status;
  std::string location;
};
// With the spec's changes of headers, authority and scheme.
struct BuiltinForward {
  std::string target;  // Path and query; empty: as received.
};
using BuiltinVerdict =
    std::variant<BuiltinRefusal, BuiltinRespond, BuiltinRedirect, BuiltinForward>;

// In this order: methods, paths, `redirect`, `respond`, changes. The rate comes before all of it,
// and is the caller's.
BuiltinVerdict EvaluateBuiltin(const BuiltinSpec& spec, const BuiltinRequest& request);

// The same as a sentence without its end: "answers 405 method_not_allowed: …". Names secrets by
// where they are.
std::string DescribeVerdict(const BuiltinSpec& spec, const BuiltinRequest& request);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_EVALUATE_H_
