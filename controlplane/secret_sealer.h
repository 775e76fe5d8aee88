// Encrypts secrets for the store.

#ifndef SALLYPORT_CONTROLPLANE_SECRET_SEALER_H_
#define SALLYPORT_CONTROLPLANE_SECRET_SEALER_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"

namespace sallyport {

// By AES-256-GCM and a key in a file of mode 0600 beside the database, which is in no backup:
//
//   key file   "sallyport-secrets-key-1 " 64 hexadecimal digits "\n"
//   sealed     version 1 (1 byte), nonce (12 bytes), ciphertext, tag (16 bytes)
//
// The secret's name is authenticated with it, so that one secret cannot be put in another's place.
// Thread-safe.
class SecretSealer {
 public:
  // Reads the key if there is one. FAILED_PRECONDITION, with a sentence for the operator: the file
  // is not a key, or can be read by others than its owner. An empty path: the key is in memory, and
  // lost with this.
  static absl::StatusOr<std::unique_ptr<SecretSealer>> Open(const std::string& key_path);
  ~SecretSealer();

  // Whether a key may be made if there is none: not while something is sealed by one that is lost.
  enum class IfNoKey { kMake, kFail };
  // FAILED_PRECONDITION: there is no key.
  absl::StatusOr<std::string> Seal(std::string_view name, std::string_view value,
                                   IfNoKey if_no_key);
  // FAILED_PRECONDITION: there is no key. DATA_LOSS: it was sealed by another key, for another
  // name, or is damaged. Half a sentence.
  absl::StatusOr<std::string> Unseal(std::string_view name, std::string_view sealed) const;

 private:
  explicit SecretSealer(std::string key_path) : key_path_(std::move(key_path)) {}
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Make() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string key_path_;
  mutable Mutex mutex_;
  std::optional<std::string> key_ ABSL_GUARDED_BY(mutex_);  // 32 bytes.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SECRET_SEALER_H_
