#include "controlplane/authenticator.h"

#include <grpc/grpc_security_constants.h>

#include <vector>

#include "common/base/status.h"

namespace sallyport {
namespace {

constexpr size_t kMaxKnown = 10'000;
constexpr char kWhose[] = "the caller's certificate";

}  // namespace

std::string Caller::ToString() const {
  return is_local() ? "a local program" : identity->ToString();
}

absl::StatusOr<Caller> Authenticator::WhoCalls(const grpc::CallbackServerContext& context) const {
  const std::shared_ptr<const grpc::AuthContext> connection = context.auth_context();
  if (connection == nullptr) return absl::UnauthenticatedError("the call has no connection");
  return WhoIs(*connection);
}

absl::StatusOr<Caller> Authenticator::WhoIs(const grpc::AuthContext& connection) const {
  const auto types = connection.FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  const auto certificates = connection.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  // Addresses without TLS are those that only this machine reaches (listen_address.h).
  if (types.size() == 1 && types[0] == "insecure") return Caller{};
  if (types.size() != 1 || types[0] != GRPC_SSL_TRANSPORT_SECURITY_TYPE ||
      certificates.size() != 1) {
    return absl::UnauthenticatedError("the caller has shown no certificate");
  }
  return WhoHas({certificates[0].data(), certificates[0].size()});
}

absl::StatusOr<Caller> Authenticator::WhoHas(const std::string& certificate_pem) const {
  if (files_ == nullptr) return absl::UnauthenticatedError("there is no TLS here");
  ASSIGN_OR_RETURN(const Known known, Look(certificate_pem));
  // The handshake may be long ago: connections outlive certificates, and their revocation.
  RETURN_IF_ERROR(known.certificate.CheckTime(kWhose, now_()));
  RETURN_IF_ERROR(files_->Current()->trust.CheckRevoked(kWhose, known.certificate));
  return Caller{known.identity};
}

absl::StatusOr<Authenticator::Known> Authenticator::Look(const std::string& certificate_pem) const {
  {
    MutexLock lock(&mutex_);
    const auto found = known_.find(certificate_pem);
    if (found != known_.end()) return found->second;
  }
  const absl::StatusOr<pki::Certificate> certificate = pki::Certificate::FromPem(certificate_pem);
  if (!certificate.ok()) {
    return absl::UnauthenticatedError("the caller has shown no certificate that can be read");
  }
  ASSIGN_OR_RETURN(const pki::Identity identity, certificate->identity());
  Known known{*certificate, identity};
  MutexLock lock(&mutex_);
  if (known_.size() >= kMaxKnown) known_.clear();
  known_.emplace(certificate_pem, known);
  return known;
}

}  // namespace sallyport
