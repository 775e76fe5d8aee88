// What --tls-dir names: tls.crt, tls.key, ca.crt, and crl.pem if there is one. Files may be
// replaced while the program runs.

#ifndef SALLYPORT_COMMON_PKI_TLS_FILES_H_
#define SALLYPORT_COMMON_PKI_TLS_FILES_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/pki/certificate.h"
#include "common/pki/identity.h"
#include "common/pki/trust.h"

namespace sallyport::pki {

// What the files say, checked as a whole. Immutable.
struct TlsMaterial {
  std::string certificate_pem;  // The chain, our own first.
  std::string key_pem;
  std::string authorities_pem;
  Certificate certificate;
  Identity identity;
  Trust trust;
};

// Whether the program serves, and its role must be server, or dials, and it must not be.
enum class Side { kServer, kClient };

// Reads the directory. The error is a sentence that names the file and says what to do: a file that
// is missing, a key that others may read, a pair that does not belong together, a certificate that
// ca.crt did not sign, a wrong role, a clock that is off.
absl::StatusOr<std::shared_ptr<const TlsMaterial>> LoadTlsDirectory(const std::string& dir,
                                                                    Side side, Time now);

// Thread-safe.
class TlsFiles {
 public:
  // Looks at the files again at most once in `interval`.
  static absl::StatusOr<std::unique_ptr<TlsFiles>> Open(
      const std::string& dir, Side side,
      std::chrono::milliseconds interval = std::chrono::seconds(1),
      std::function<Time()> now = std::chrono::system_clock::now);

  // The newest that was whole. If the files have changed and are wrong, and are so at the next look
  // too, that is logged, once, and the former ones hold.
  std::shared_ptr<const TlsMaterial> Current();

 private:
  TlsFiles(std::string dir, Side side, std::chrono::milliseconds interval,
           std::function<Time()> now);
  void Reload() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WarnOfExpiry() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string dir_;
  const Side side_;
  const std::chrono::milliseconds interval_;
  const std::function<Time()> now_;

  Mutex mutex_;
  std::shared_ptr<const TlsMaterial> current_ ABSL_GUARDED_BY(mutex_);
  std::string stamp_ ABSL_GUARDED_BY(mutex_);    // What the files looked like.
  std::string suspect_ ABSL_GUARDED_BY(mutex_);  // The same when they were wrong the last time.
  std::chrono::steady_clock::time_point looked_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point warned_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_TLS_FILES_H_
