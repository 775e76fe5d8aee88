#include "agent/proxy/tls/leaf_cache.h"

#include <utility>

#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr time_t kRenewBefore = 60 * 60;

}  // namespace

LeafCache::LeafCache(CertificateAuthority authority, bssl::UniquePtr<EVP_PKEY> key, Now now)
    : authority_(std::move(authority)), key_(std::move(key)), now_(std::move(now)) {}

absl::StatusOr<std::unique_ptr<LeafCache>> LeafCache::Create(CertificateAuthority authority,
                                                             Now now) {
  ASSIGN_OR_RETURN(bssl::UniquePtr<EVP_PKEY> key, GenerateP256Key());
  return std::unique_ptr<LeafCache>(
      new LeafCache(std::move(authority), std::move(key), std::move(now)));
}

bool LeafCache::StillGood(const Leaf& leaf, time_t now) const {
  if (now < leaf.not_before || now >= leaf.not_after) return false;
  // A leaf that ends with the CA would not live longer for being minted again.
  return leaf.not_after - now > kRenewBefore || leaf.not_after == authority_.not_after();
}

bool LeafCache::Keeps(const Host& host) const {
  const time_t now = now_();
  MutexLock lock(&mutex_);
  const Leaf* leaf = leaves_.Find(host.text());
  return leaf != nullptr && StillGood(*leaf, now);
}

absl::StatusOr<bssl::UniquePtr<CRYPTO_BUFFER>> LeafCache::Get(const Host& host) {
  const time_t now = now_();
  MutexLock lock(&mutex_);
  if (const Leaf* leaf = leaves_.Find(host.text()); leaf != nullptr && StillGood(*leaf, now)) {
    return bssl::UpRef(leaf->certificate);
  }
  ASSIGN_OR_RETURN(const LeafCertificate minted, authority_.Mint(host, key_.get(), now));
  bssl::UniquePtr<CRYPTO_BUFFER> certificate(CRYPTO_BUFFER_new(
      reinterpret_cast<const uint8_t*>(minted.der.data()), minted.der.size(), nullptr));
  if (certificate == nullptr) return absl::ResourceExhaustedError("no memory for a certificate");
  leaves_.Set(host.text(), Leaf{bssl::UpRef(certificate), minted.not_before, minted.not_after});
  return certificate;
}

}  // namespace sallyport::proxy
