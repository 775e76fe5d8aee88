#include "agent/proxy/tls/roots.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include <cstring>

namespace sallyport::proxy {
namespace {

enum class Block { kRoot, kOther, kEnd };

// A block that is not a certificate, or one that cannot be read, is passed over: that root is not
// trusted then.
Block AddNext(BIO* pem, X509_STORE* store) {
  char* name = nullptr;
  char* header = nullptr;
  uint8_t* data = nullptr;
  long size = 0;
  const int found = PEM_read_bio(pem, &name, &header, &data, &size);
  const bssl::UniquePtr<char> name_owner(name), header_owner(header);
  const bssl::UniquePtr<uint8_t> data_owner(data);
  if (!found) {
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? Block::kEnd
                                                                        : Block::kOther;
  }
  if (std::strcmp(name, PEM_STRING_X509) != 0) return Block::kOther;
  const uint8_t* position = data;
  const bssl::UniquePtr<X509> root(d2i_X509(nullptr, &position, size));
  if (root == nullptr || !X509_STORE_add_cert(store, root.get())) return Block::kOther;
  return Block::kRoot;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const UpstreamTls::Roots>> UpstreamTls::ParseRoots(
    std::string_view pem) {
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ssize_t>(pem.size())));
  if (store == nullptr || bio == nullptr) {
    return absl::ResourceExhaustedError("no memory for the root certificates");
  }
  int count = 0;
  for (Block block = Block::kOther; block != Block::kEnd;) {
    ERR_clear_error();
    block = AddNext(bio.get(), store.get());
    if (block == Block::kRoot) ++count;
  }
  ERR_clear_error();
  if (count == 0) {
    return absl::FailedPreconditionError(
        "the bundle of root certificates holds none: install the package ca-certificates");
  }
  return std::make_shared<const Roots>(std::move(store));
}

}  // namespace sallyport::proxy
