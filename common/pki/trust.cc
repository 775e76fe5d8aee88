#include "common/pki/trust.h"

#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/openssl.h"

namespace sallyport::pki {
namespace {

struct StackFreer {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

bool SignedByOneOf(X509_CRL* list, const std::vector<X509Ptr>& authorities) {
  for (const X509Ptr& authority : authorities) {
    const bool of_it =
        X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority.get())) == 0;
    if (of_it && X509_CRL_verify(list, X509_get0_pubkey(authority.get())) == 1) return true;
  }
  ERR_clear_error();
  return false;
}

absl::StatusOr<std::vector<CrlPtr>> ListsOf(std::string_view pem) {
  std::vector<CrlPtr> lists;
  const BioPtr input = ReadingFrom(pem);
  while (CrlPtr one{PEM_read_bio_X509_CRL(input.get(), nullptr, nullptr, nullptr)}) {
    lists.push_back(std::move(one));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (lists.empty() || !at_end) {
    return absl::InvalidArgumentError("crl.pem holds no revocation list (PEM), or a damaged one");
  }
  return lists;
}

}  // namespace

absl::StatusOr<Trust> Trust::FromPem(std::string_view authorities_pem,
                                     std::string_view revocations_pem) {
  const absl::StatusOr<std::vector<X509Ptr>> authorities = CertificatesOf(authorities_pem);
  if (!authorities.ok()) {
    return absl::InvalidArgumentError(StrCat("ca.crt ", authorities.status().message()));
  }
  Trust trust;
  trust.store_ = std::shared_ptr<X509_STORE>(X509_STORE_new(), X509_STORE_free);
  for (const X509Ptr& authority : *authorities) {
    if (X509_STORE_add_cert(trust.store_.get(), authority.get()) != 1) return CryptoError("ca.crt");
  }
  if (revocations_pem.empty()) return trust;
  ASSIGN_OR_RETURN(const std::vector<CrlPtr> lists, ListsOf(revocations_pem));
  for (const CrlPtr& list : lists) {
    if (!SignedByOneOf(list.get(), *authorities)) {
      return absl::InvalidArgumentError("crl.pem is not signed by a CA of ca.crt");
    }
    std::set<std::string>& serials = trust.revoked_[BytesOf(X509_CRL_get_issuer(list.get()))];
    STACK_OF(X509_REVOKED)* const entries = X509_CRL_get_REVOKED(list.get());
    for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
      serials.insert(HexOf(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
    }
  }
  return trust;
}

absl::Status Trust::Verify(std::string_view whose, std::string_view chain_pem, Role role,
                           Time now) const {
  const absl::StatusOr<std::vector<X509Ptr>> chain = CertificatesOf(chain_pem);
  if (!chain.ok()) {
    return absl::UnauthenticatedError(StrCat(whose, " ", chain.status().message()));
  }
  ASSIGN_OR_RETURN(const Certificate leaf, Certificate::FromPem(chain_pem));
  RETURN_IF_ERROR(leaf.CheckTime(whose, now));
  RETURN_IF_ERROR(CheckRevoked(whose, leaf));

  const std::unique_ptr<STACK_OF(X509), StackFreer> others(sk_X509_new_null());
  for (size_t i = 1; i < chain->size(); ++i) sk_X509_push(others.get(), (*chain)[i].get());
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (context == nullptr || others == nullptr ||
      X509_STORE_CTX_init(context.get(), store_.get(), leaf.get(), others.get()) != 1) {
    return CryptoError("verification");
  }
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  X509_VERIFY_PARAM_set_purpose(
      parameters, role == Role::kServer ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return absl::UnauthenticatedError(
      StrCat(whose, " is not accepted by ca.crt: ", X509_verify_cert_error_string(error)));
}

absl::Status Trust::CheckRevoked(std::string_view whose, const Certificate& certificate) const {
  const auto of_issuer = revoked_.find(certificate.issuer());
  if (of_issuer == revoked_.end() || !of_issuer->second.contains(certificate.serial())) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(
      StrCat(whose, " is revoked (serial number ", certificate.serial(), " in crl.pem)"));
}

}  // namespace sallyport::pki
