// Which headers a handler may set (RFC 9110 sections 5.1, 5.5, 7.6.1).

#ifndef SALLYPORT_COMMON_BUILTIN_HEADER_RULES_H_
#define SALLYPORT_COMMON_BUILTIN_HEADER_RULES_H_

#include <string_view>

namespace sallyport {

bool IsHeaderName(std::string_view name);
// No control bytes but tabs, and no white space around it.
bool IsHeaderValue(std::string_view value);
// What belongs to a connection, and not to a message. `name` is in lower case.
bool IsOfConnection(std::string_view name);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_HEADER_RULES_H_
