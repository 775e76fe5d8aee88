// Looks after certificates while nobody calls: takes in files that have changed, warns of expiry,
// and has streams ended whose certificate does not count any more.

#ifndef SALLYPORT_CONTROLPLANE_CERTIFICATE_WATCH_H_
#define SALLYPORT_CONTROLPLANE_CERTIFICATE_WATCH_H_

#include <chrono>
#include <functional>
#include <thread>

#include "common/base/mutex.h"
#include "common/pki/tls_files.h"

namespace sallyport {

// Has a thread of its own. `files` and what `recheck` uses outlive it.
class CertificateWatch {
 public:
  CertificateWatch(pki::TlsFiles* files, std::function<void()> recheck,
                   std::chrono::milliseconds interval = std::chrono::seconds(1));
  ~CertificateWatch();

 private:
  void Run();

  pki::TlsFiles* const files_;
  const std::function<void()> recheck_;
  const std::chrono::milliseconds interval_;
  Mutex mutex_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CERTIFICATE_WATCH_H_
