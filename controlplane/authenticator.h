// Who calls.

#ifndef SALLYPORT_CONTROLPLANE_AUTHENTICATOR_H_
#define SALLYPORT_CONTROLPLANE_AUTHENTICATOR_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/pki/tls_files.h"

namespace sallyport {

struct Caller {
  // Absent: a program of this machine, over a unix socket that its mode guards, or over a loopback
  // port without TLS. It may do everything.
  std::optional<pki::Identity> identity;

  bool is_local() const { return !identity.has_value(); }
  // `agent host-7`, `a local program`: for messages and the log.
  std::string ToString() const;
};

// Thread-safe.
class Authenticator {
 public:
  // `files`: of the TLS addresses; null if there are none.
  explicit Authenticator(pki::TlsFiles* files,
                         std::function<pki::Time()> now = std::chrono::system_clock::now)
      : files_(files), now_(std::move(now)) {}

  // Of a call that a service got.
  absl::StatusOr<Caller> WhoCalls(const grpc::CallbackServerContext& context) const;
  // By its properties; `local`: it came over an address without TLS. UNAUTHENTICATED with a
  // sentence: no identity in the certificate, or one that does not count (any more).
  absl::StatusOr<Caller> WhoIs(const grpc::AuthContext& connection) const;
  // By a certificate that a TLS handshake has verified.
  absl::StatusOr<Caller> WhoHas(const std::string& certificate_pem) const;

 private:
  struct Known {
    pki::Certificate certificate;
    pki::Identity identity;
  };
  absl::StatusOr<Known> Look(const std::string& certificate_pem) const;

  pki::TlsFiles* const files_;
  const std::function<pki::Time()> now_;
  // To parse a certificate costs more than most calls.
  mutable Mutex mutex_;
  mutable std::map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_AUTHENTICATOR_H_
