// Which bytes may stand where in HTTP/1.1 (RFC 9110 section 5, RFC 5234 appendix B.1).

#ifndef SALLYPORT_AGENT_PROXY_HTTP_CHARACTERS_H_
#define SALLYPORT_AGENT_PROXY_HTTP_CHARACTERS_H_

#include <cstddef>
#include <string_view>

namespace sallyport::proxy {

// tchar.
bool IsTokenCharacter(char c);
bool IsDigit(char c);
// How many bytes at the front are token characters.
size_t TokenLength(std::string_view text);
// How many bytes at the front may stand in a request target: visible ASCII without "#".
size_t TargetLength(std::string_view text);
// How many bytes at the front may stand in a field value: no control bytes but HTAB.
size_t FieldTextLength(std::string_view text);

// Without SP and HTAB at both ends.
std::string_view TrimWhiteSpace(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);
// Takes the next element off a comma-separated list (RFC 9110 section 5.6.1). Elements may be
// empty. REQUIRES: !list->empty().
std::string_view TakeListElement(std::string_view* list);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_CHARACTERS_H_
