#include "agent/proxy/destination.h"

#include "common/base/strings.h"

namespace sallyport::proxy {

std::string_view SchemeName(RequestScheme scheme) {
  return scheme == RequestScheme::kHttps ? "https" : "http";
}

uint16_t DefaultPort(RequestScheme scheme) { return scheme == RequestScheme::kHttps ? 443 : 80; }

std::variant<Destination, Refusal> DestinationOf(const RequestHead& head, const Origin& origin,
                                                 const TlsFacts* tls) {
  const RequestScheme scheme = tls != nullptr ? RequestScheme::kHttps : RequestScheme::kHttp;
  if (!head.absolute_scheme.empty() && head.absolute_scheme != SchemeName(scheme)) {
    return Refusal{400, "bad_request", "the target's scheme is not the connection's"};
  }
  if (head.authority.port.has_value() && *head.authority.port != origin.port) {
    return Refusal{400, "bad_request",
                   StrCat("the request names port ", *head.authority.port,
                          " on a connection to port ", origin.port)};
  }
  if (origin.name != nullptr && !(head.authority.host == *origin.name)) {
    return Refusal{421, "misdirected",
                   StrCat("the proxy was asked for ", origin.name->text(), ", the request is for ",
                          head.authority.host.text())};
  }
  if (tls != nullptr && !(head.authority.host == tls->name)) {
    return Refusal{421, "misdirected",
                   StrCat("the TLS connection is for ", tls->name.text(), ", the request for ",
                          head.authority.host.text())};
  }
  return Destination{scheme, head.authority.host, origin.port};
}

}  // namespace sallyport::proxy
