// Where the container meant to connect to.

#ifndef SALLYPORT_AGENT_PROXY_ORIGIN_H_
#define SALLYPORT_AGENT_PROXY_ORIGIN_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/net/address.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Address and port that the container dialled. TPROXY keeps them as the local end of the accepted
// socket.
struct Origin {
  IpAddress address;
  uint16_t port = 0;
  // What an explicit proxy was asked for, where that is a name; else null. What is said on the
  // connection must be for it. `address` is what we resolved for it, or 0.0.0.0.
  std::shared_ptr<const Host> name = nullptr;
};

// Empty: no address was.
std::string DialledText(const Origin& origin);

absl::StatusOr<Origin> OriginOf(int accepted_socket);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ORIGIN_H_
