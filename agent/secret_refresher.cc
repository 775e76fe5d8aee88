#include "agent/secret_refresher.h"

namespace sallyport::agent {

SecretRefresher::SecretRefresher(ProxySupervisor* supervisor, std::chrono::milliseconds period)
    : supervisor_(supervisor), period_(period), thread_([this] { Run(); }) {}

SecretRefresher::~SecretRefresher() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    stopped_.SignalAll();
  }
  thread_.join();
}

void SecretRefresher::Run() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      const auto next = std::chrono::steady_clock::now() + period_;
      while (!stopping_ && std::chrono::steady_clock::now() < next) {
        stopped_.WaitUntil(&mutex_, next);
      }
      if (stopping_) return;
    }
    supervisor_->RefreshSecrets();
  }
}

}  // namespace sallyport::agent
