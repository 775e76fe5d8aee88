#include "controlplane/certificate_watch.h"

#include <utility>

namespace sallyport {

CertificateWatch::CertificateWatch(pki::TlsFiles* files, std::function<void()> recheck,
                                   std::chrono::milliseconds interval)
    : files_(files),
      recheck_(std::move(recheck)),
      interval_(interval),
      thread_([this] { Run(); }) {}

CertificateWatch::~CertificateWatch() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    stop_.SignalAll();
  }
  thread_.join();
}

void CertificateWatch::Run() {
  while (true) {
    {
      const auto next = std::chrono::steady_clock::now() + interval_;
      MutexLock lock(&mutex_);
      while (!stopping_ && std::chrono::steady_clock::now() < next) {
        stop_.WaitUntil(&mutex_, next);
      }
      if (stopping_) return;
    }
    files_->Current();
    recheck_();
  }
}

}  // namespace sallyport
