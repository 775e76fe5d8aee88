#include "controlplane/secret_sealer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"
#include "common/pki/whole_file.h"

namespace sallyport {
namespace {

constexpr std::string_view kMagic = "sallyport-secrets-key-1 ";
constexpr size_t kKeyBytes = 32;
constexpr char kVersion = 1;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string* text) { return reinterpret_cast<unsigned char*>(text->data()); }

int Size(std::string_view text) { return static_cast<int>(text.size()); }

std::string AuthenticatedWith(std::string_view name) { return StrCat("sallyport-secret-1 ", name); }

absl::Status NoKey(const std::string& path) {
  return absl::FailedPreconditionError(
      StrCat("the key is missing by which the store's secrets are encrypted: put ", path,
             " back and restart sallyportd, or delete every secret that is there and set it anew"));
}

absl::StatusOr<std::string> Encrypt(const std::string& key, std::string_view nonce,
                                    std::string_view associated, std::string_view value) {
  std::string sealed(value.size() + kTagBytes, '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  const bool done =
      context != nullptr &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(nonce)) ==
          1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, Bytes(associated), Size(associated)) ==
          1 &&
      EVP_EncryptUpdate(context.get(), Bytes(&sealed), &length, Bytes(value), Size(value)) == 1 &&
      EVP_EncryptFinal_ex(context.get(), Bytes(&sealed) + length, &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                          Bytes(&sealed) + value.size()) == 1;
  if (!done) return absl::InternalError("OpenSSL does not encrypt");
  return sealed;
}

// nullopt: the tag is wrong.
std::optional<std::string> Decrypt(const std::string& key, std::string_view nonce,
                                   std::string_view associated, std::string_view sealed) {
  const std::string_view text = sealed.substr(0, sealed.size() - kTagBytes);
  std::string tag(sealed.substr(text.size()));
  std::string value(text.size(), '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  const bool done =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(nonce)) ==
          1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, Bytes(associated), Size(associated)) ==
          1 &&
      EVP_DecryptUpdate(context.get(), Bytes(&value), &length, Bytes(text), Size(text)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, Bytes(&tag)) == 1 &&
      EVP_DecryptFinal_ex(context.get(), Bytes(&value) + length, &length) == 1;
  if (done) return value;
  Wipe(&value);
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SecretSealer>> SecretSealer::Open(const std::string& key_path) {
  std::unique_ptr<SecretSealer> sealer(new SecretSealer(key_path));
  MutexLock lock(&sealer->mutex_);
  if (!key_path.empty()) RETURN_IF_ERROR(sealer->Load());
  return sealer;
}

SecretSealer::~SecretSealer() {
  MutexLock lock(&mutex_);
  if (key_.has_value()) Wipe(&*key_);
}

absl::Status SecretSealer::Load() {
  absl::StatusOr<std::string> content = pki::ReadWholeFile(key_path_);
  if (absl::IsNotFound(content.status())) return absl::OkStatus();
  RETURN_IF_ERROR(content.status());
  struct stat info = {};
  if (::stat(key_path_.c_str(), &info) != 0 || (info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        StrCat("others than its owner may read ", key_path_, ", by which secrets are encrypted; ",
               "chmod 600, and set the secrets anew if anyone has"));
  }
  const std::string_view text = ToStd(absl::StripAsciiWhitespace(*content));
  std::string key;
  const bool is_key = text.starts_with(kMagic) && text.size() == kMagic.size() + 2 * kKeyBytes;
  if (is_key) key = absl::HexStringToBytes(ToAbsl(text.substr(kMagic.size())));
  Wipe(&*content);
  if (key.size() != kKeyBytes) {
    return absl::FailedPreconditionError(
        StrCat(key_path_, " is not a key as sallyportd writes it; put the right file back"));
  }
  key_ = std::move(key);
  return absl::OkStatus();
}

absl::Status SecretSealer::Make() {
  std::string key(kKeyBytes, '\0');
  if (RAND_bytes(Bytes(&key), Size(key)) != 1) return absl::InternalError("OpenSSL makes no key");
  if (!key_path_.empty()) {
    std::string content = StrCat(kMagic, absl::BytesToHexString(key), "\n");
    const absl::Status written = pki::WriteWholeFile(key_path_, content, 0600);
    Wipe(&content);
    if (!written.ok()) return absl::UnavailableError(written.message());
  }
  key_ = std::move(key);
  return absl::OkStatus();
}

absl::StatusOr<std::string> SecretSealer::Seal(std::string_view name, std::string_view value,
                                               IfNoKey if_no_key) {
  MutexLock lock(&mutex_);
  if (!key_.has_value()) {
    if (if_no_key == IfNoKey::kFail) return NoKey(key_path_);
    RETURN_IF_ERROR(Make());
  }
  std::string nonce(kNonceBytes, '\0');
  if (RAND_bytes(Bytes(&nonce), Size(nonce)) != 1) {
    return absl::InternalError("OpenSSL makes no nonce");
  }
  ASSIGN_OR_RETURN(const std::string sealed, Encrypt(*key_, nonce, AuthenticatedWith(name), value));
  return StrCat(std::string(1, kVersion), nonce, sealed);
}

absl::StatusOr<std::string> SecretSealer::Unseal(std::string_view name,
                                                 std::string_view sealed) const {
  MutexLock lock(&mutex_);
  if (!key_.has_value()) {
    return absl::FailedPreconditionError(
        "cannot be decrypted: the control plane's secrets.key is missing");
  }
  if (sealed.size() > 1 + kNonceBytes + kTagBytes && sealed[0] == kVersion) {
    std::optional<std::string> value =
        Decrypt(*key_, sealed.substr(1, kNonceBytes), AuthenticatedWith(name),
                sealed.substr(1 + kNonceBytes));
    if (value.has_value()) return *std::move(value);
  }
  return absl::DataLossError(
      "cannot be decrypted: the control plane has another key, or the value is damaged; set it "
      "anew");
}

}  // namespace sallyport
