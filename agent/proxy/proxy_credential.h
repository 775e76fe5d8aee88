// Who may use a container's explicit proxy.

#ifndef SALLYPORT_AGENT_PROXY_PROXY_CREDENTIAL_H_
#define SALLYPORT_AGENT_PROXY_PROXY_CREDENTIAL_H_

#include <string>
#include <string_view>

#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// A container's id and the token that was made for its attachment, as Basic in Proxy-Authorization
// (RFC 7617). Immutable.
class ProxyCredential {
 public:
  ProxyCredential(std::string_view container_id, std::string_view token);

  enum class Shown { kNothing, kWrong, kRight };
  // Takes as long for a wrong one, wherever it is wrong. Two are wrong.
  Shown In(const Headers& headers) const;

 private:
  const std::string expected_;  // Base64 of ID:TOKEN.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_PROXY_CREDENTIAL_H_
