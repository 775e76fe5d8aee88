// Pauses between attempts to connect.

#ifndef SALLYPORT_AGENT_BACK_OFF_H_
#define SALLYPORT_AGENT_BACK_OFF_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace sallyport::agent {

// Each pause is twice the one before, up to the longest, and half of it is left to chance, so that
// the agents of a fleet do not come all at once. Not thread-safe.
class BackOff {
 public:
  BackOff(std::chrono::milliseconds first, std::chrono::milliseconds longest)
      : first_(first), longest_(longest), pause_(first) {}

  std::chrono::milliseconds Next() {
    std::uniform_int_distribution<int64_t> chance(pause_.count() / 2, pause_.count());
    pause_ = std::min(pause_ * 2, longest_);
    return std::chrono::milliseconds(chance(random_));
  }
  // After an attempt that succeeded.
  void Reset() { pause_ = first_; }
  // After one that is not to be repeated soon.
  void Lengthen() { pause_ = longest_; }

 private:
  const std::chrono::milliseconds first_;
  const std::chrono::milliseconds longest_;
  std::chrono::milliseconds pause_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_BACK_OFF_H_
