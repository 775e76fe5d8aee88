#include <openssl/mem.h>
#include <openssl/x509v3.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/proxy/tls/certificate_authority.h"
#include "agent/proxy/tls/testing/certificates.h"
#include "common/base/check.h"
#include "common/net/host.h"

namespace sallyport::proxy {
namespace {

constexpr time_t kNow = 1800000000;

// The one alternative name of a leaf, and its type.
std::string SoleName(const std::string& der, int* type) {
  const auto* position = reinterpret_cast<const uint8_t*>(der.data());
  const bssl::UniquePtr<X509> leaf(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
  SALLYPORT_CHECK(leaf != nullptr);
  const bssl::UniquePtr<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(leaf.get(), NID_subject_alt_name, nullptr, nullptr)));
  SALLYPORT_CHECK(names != nullptr && sk_GENERAL_NAME_num(names.get()) == 1);
  const auto* value = static_cast<const ASN1_STRING*>(
      GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), 0), type));
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                     static_cast<size_t>(ASN1_STRING_length(value)));
}

// TL15: a name is refused, or a leaf is minted for it and for nothing else.
void MintFor(std::string_view server_name) {
  static const Identity root = MakeRoot("root");
  static const CertificateAuthority authority =
      CertificateAuthority::Create(root.CertificateDer(), root.KeyDer()).value();
  static const bssl::UniquePtr<EVP_PKEY> key = GenerateP256Key().value();
  const absl::StatusOr<Host> host = Host::Parse(server_name);
  if (!host.ok()) return;
  SALLYPORT_CHECK(host->text().find_first_of(std::string("*,/ \0", 5)) == std::string::npos);
  const absl::StatusOr<LeafCertificate> leaf = authority.Mint(*host, key.get(), kNow);
  SALLYPORT_CHECK(leaf.ok());
  int type = 0;
  const std::string name = SoleName(leaf->der, &type);
  SALLYPORT_CHECK(type == (host->is_address() ? GEN_IPADD : GEN_DNS));
  if (!host->is_address()) SALLYPORT_CHECK(name == host->text());
}

}  // namespace
}  // namespace sallyport::proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sallyport::proxy::MintFor({reinterpret_cast<const char*>(data), size});
  return 0;
}
