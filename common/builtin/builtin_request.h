// What a built-in handler looks at of a request.

#ifndef SALLYPORT_COMMON_BUILTIN_BUILTIN_REQUEST_H_
#define SALLYPORT_COMMON_BUILTIN_BUILTIN_REQUEST_H_

#include <string_view>

namespace sallyport {

struct BuiltinRequest {
  std::string_view method;
  std::string_view scheme;     // "http" or "https".
  std::string_view host;       // IPv6 in brackets.
  std::string_view authority;  // With the port, unless it is the scheme's own.
  std::string_view target;     // Path and query as received, or "*".
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_BUILTIN_REQUEST_H_
