#include "agent/proxy/handlers/attempts.h"

#include <chrono>

#include "agent/proxy/handlers/not_processed.h"

namespace sallyport::proxy {

bool AttemptsLeft::Take(const absl::Status& failure, SteadyTime deadline) {
  if (std::chrono::steady_clock::now() >= deadline) return false;
  if (IsNotProcessed(failure) && !unprocessed_) {
    unprocessed_ = true;
    return true;
  }
  return asked_for_-- > 0;
}

}  // namespace sallyport::proxy
