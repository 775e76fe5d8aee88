// Bytes that somebody else chose, as text that cannot be taken for anything else.

#ifndef SALLYPORT_COMMON_AUDIT_JSON_TEXT_H_
#define SALLYPORT_COMMON_AUDIT_JSON_TEXT_H_

#include <string>
#include <string_view>

namespace sallyport {

// Appends the inside of a JSON string (RFC 8259): quotes, backslashes and control characters are
// escaped, bytes that are not UTF-8 become U+FFFD.
void AppendJsonText(std::string_view text, std::string* out);

// The same text, with U+FFFD for bytes that are not UTF-8 (RFC 3629).
std::string ToUtf8(std::string_view text);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_AUDIT_JSON_TEXT_H_
