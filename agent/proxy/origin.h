// Where the container meant to connect to.

#ifndef SALLYPORT_AGENT_PROXY_ORIGIN_H_
#define SALLYPORT_AGENT_PROXY_ORIGIN_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace sallyport::proxy {

// Address and port that the container dialled. TPROXY keeps them as the local end of the accepted
// socket.
struct Origin {
  IpAddress address;
  uint16_t port = 0;
};

absl::StatusOr<Origin> OriginOf(int accepted_socket);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ORIGIN_H_
