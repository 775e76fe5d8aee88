// Whom we believe: CA certificates, and what they have revoked.

#ifndef SALLYPORT_COMMON_PKI_TRUST_H_
#define SALLYPORT_COMMON_PKI_TRUST_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/pki/certificate.h"

typedef struct x509_store_st X509_STORE;

namespace sallyport::pki {

// Immutable; copies share.
class Trust {
 public:
  // `revocations_pem`: revocation lists, or empty. Each must be signed by one of the CAs. How fresh
  // they are is not asked: a list that is late must not lock everybody out.
  static absl::StatusOr<Trust> FromPem(std::string_view authorities_pem,
                                       std::string_view revocations_pem);

  // A chain, the leaf first, for a program of this role: signed by a CA, in time, not revoked, for
  // the right usage. UNAUTHENTICATED with a sentence about `whose` otherwise.
  absl::Status Verify(std::string_view whose, std::string_view chain_pem, Role role,
                      Time now) const;
  // Whether the list of its CA names it.
  absl::Status CheckRevoked(std::string_view whose, const Certificate& certificate) const;

 private:
  std::shared_ptr<X509_STORE> store_;
  std::map<std::string, std::set<std::string>> revoked_;  // Serial numbers by issuer.
};

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_TRUST_H_
