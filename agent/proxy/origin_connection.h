// A connection to an origin, or a stream of one, that carries an exchange.

#ifndef SALLYPORT_AGENT_PROXY_ORIGIN_CONNECTION_H_
#define SALLYPORT_AGENT_PROXY_ORIGIN_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/function_ref.h"
#include "agent/proxy/http/http_exchange.h"
#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

// How the version of HTTP is found.
enum class OriginHttp {
  kByAlpn,  // TLS: the origin chooses HTTP/2 or HTTP/1.1.
  kHttp1,   // Over TLS, nothing else is offered.
  kHttp2,   // Without TLS, with prior knowledge.
};

// What makes two connections of a container differ. The address is not in it: policy is asked about
// it again when a connection is taken.
struct OriginKey {
  bool tls = false;
  OriginHttp http = OriginHttp::kHttp1;
  Host host;
  uint16_t port = 0;
  // Its address is of this network (Exchange::within).
  std::optional<Cidr> within = {};

  friend bool operator==(const OriginKey&, const OriginKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const OriginKey& key) {
    return H::combine(std::move(h), key.tls, key.http, key.host, key.port);
  }
};

struct OriginConnection {
  std::unique_ptr<ClientExchange> http;
  IpAddress address;
  // It was connected before this exchange wanted it: the origin may be about to close it.
  bool reused = false;
  // In monitor mode: an enforcing class would not have dialled the address. Of the exchange that
  // uses the connection now.
  std::optional<Reason> would_deny = {};
};

// What the policy of this moment says about a pooled connection's address.
using AddressCheck = absl::FunctionRef<AddressVerdict(const IpAddress&)>;

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ORIGIN_CONNECTION_H_
