// How a handler and this host prove to each other who they are.

#ifndef SALLYPORT_COMMON_POLICY_HANDLER_SECURITY_H_
#define SALLYPORT_COMMON_POLICY_HANDLER_SECURITY_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/policy/problems.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// v1::HandlerTls, normal. A value.
struct HandlerTlsSpec {
  std::string ca_certificates;  // PEM; empty: the roots that origins are verified by.
  bool client_certificate = false;
  std::string server_name;  // Name or address, no brackets; empty: the endpoint's host.

  friend bool operator==(const HandlerTlsSpec&, const HandlerTlsSpec&) = default;
};

// v1::IdentityToken, normal. A value.
struct IdentityTokenSpec {
  std::string audience;
  std::chrono::seconds ttl{0};
};

inline constexpr std::chrono::seconds kMinTokenTtl{10};
inline constexpr std::chrono::seconds kMaxTokenTtl{60 * 60};

// Both leave a handler without these fields as it is. TLS is for endpoints that speak it; a builtin
// has neither.
void NormaliseHandlerTls(std::string_view path, v1::Handler* handler, Problems* problems);
void CheckIdentityToken(std::string_view path, const v1::Handler& handler, Problems* problems);

// Of what was normalised.
HandlerTlsSpec TlsSpecOf(const v1::HandlerTls& tls);
IdentityTokenSpec TokenSpecOf(const v1::Handler& handler);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HANDLER_SECURITY_H_
