// Headers by which services tell each other who asks. What a container says of that is forged.

#ifndef SALLYPORT_AGENT_PROXY_FORGED_HEADERS_H_
#define SALLYPORT_AGENT_PROXY_FORGED_HEADERS_H_

#include <string_view>

namespace sallyport::proxy {

// Whether the name is one of Sallyport's own (`sallyport-…`). These never leave a container,
// whoever the receiver is. Case does not matter, and `_` counts as `-`: CGI and its heirs do not
// tell them apart.
bool IsSallyportHeader(std::string_view name);

// Whether a handler might take the header for a word of the agent or of a proxy before it:
// Sallyport's own, `forwarded`, `x-forwarded-…`, `x-real-ip`, `x-container-id`, `x-hostname`,
// `x-tls-sni`, `cf-…`. Handlers do not see these; who asks is in v1::Context. Origins do: between a
// container and an origin they are ordinary headers.
bool SaysWhoAsks(std::string_view name);

// Whether CGI and its heirs make one variable of the two names (RFC 3875 section 4.1.18): a
// container's `x_api_key` could stand for the `x-api-key` that a handler sets.
bool IsSameVariable(std::string_view name, std::string_view other);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_FORGED_HEADERS_H_
