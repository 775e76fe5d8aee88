#include "agent/proxy/tls/client_certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/status/status.h"

namespace sallyport::proxy {
namespace {

bssl::UniquePtr<BIO> ReadingFrom(std::string_view bytes) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(bytes.data(), static_cast<ssize_t>(bytes.size())));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ClientCertificate>> ClientCertificate::Parse(
    std::string_view chain, std::string_view key) {
  std::vector<bssl::UniquePtr<X509>> certificates;
  const bssl::UniquePtr<BIO> input = ReadingFrom(chain);
  while (bssl::UniquePtr<X509> one{PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr)})
    certificates.push_back(std::move(one));
  const auto no_password = [](char*, int, int, void*) { return -1; };
  bssl::UniquePtr<EVP_PKEY> private_key(
      PEM_read_bio_PrivateKey(ReadingFrom(key).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (certificates.empty())
    return absl::InvalidArgumentError("the client certificate cannot be read");
  if (private_key == nullptr)
    return absl::InvalidArgumentError("the client certificate's key cannot be read");
  const bool together = X509_check_private_key(certificates[0].get(), private_key.get()) == 1;
  ERR_clear_error();
  if (!together)
    return absl::InvalidArgumentError("the client certificate and the key do not belong together");
  return std::shared_ptr<const ClientCertificate>(
      new ClientCertificate(std::string(chain), std::move(certificates), std::move(private_key)));
}

bool ClientCertificate::GiveTo(SSL_CTX* context) const {
  if (!SSL_CTX_use_certificate(context, chain_[0].get()) ||
      !SSL_CTX_use_PrivateKey(context, key_.get())) {
    return false;
  }
  for (size_t i = 1; i < chain_.size(); ++i) {
    if (!SSL_CTX_add1_chain_cert(context, chain_[i].get())) return false;
  }
  return true;
}

}  // namespace sallyport::proxy
