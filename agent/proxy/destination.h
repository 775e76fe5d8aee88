// What a request says that it is for, held against the connection that it came on.

#ifndef SALLYPORT_AGENT_PROXY_DESTINATION_H_
#define SALLYPORT_AGENT_PROXY_DESTINATION_H_

#include <optional>
#include <string>
#include <variant>

#include "agent/proxy/http/message.h"
#include "agent/proxy/origin.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

// What was agreed in the TLS handshake with the container.
struct TlsFacts {
  Host name;  // SNI, or the address dialled.
  std::string version;
};

struct Destination {
  RequestScheme scheme = RequestScheme::kHttp;
  Host host;
  // The port that the container dialled; a port in the request must be the same.
  uint16_t port = 0;
};

// `reason` is `bad_request` or `misdirected`.
struct Refusal {
  int status = 400;
  std::string_view reason;
  std::string detail;
};

// `tls` null: the connection is plain.
std::variant<Destination, Refusal> DestinationOf(const RequestHead& head, const Origin& origin,
                                                 const TlsFacts* tls);

std::string_view SchemeName(RequestScheme scheme);
uint16_t DefaultPort(RequestScheme scheme);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DESTINATION_H_
