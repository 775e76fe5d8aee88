// Whether a peer makes more work than its requests account for.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_BUDGET_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_BUDGET_H_

#include <cstdint>

#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Counts over fixed periods. Each method returns whether the peer stays within its budget.
class H2Budget {
 public:
  explicit H2Budget(const H2Limits& limits)
      : resets_{limits.resets, limits.reset_period},
        idle_frames_{limits.idle_frames, limits.idle_frames_period} {}

  // A stream was reset by the peer, or here because of what the peer sent (CVE-2023-44487,
  // CVE-2025-8671).
  bool OnReset(SteadyTime now) { return resets_.Charge(now, 1); }
  // A stream ended as it should.
  void OnCompleted(SteadyTime now) { resets_.Credit(now, kResetsForCompleted); }
  // A frame that carries nothing.
  bool OnIdleFrame(SteadyTime now) { return idle_frames_.Charge(now, 1); }
  // A stream began, or DATA went either way: PING, SETTINGS and WINDOW_UPDATE may follow.
  void OnUsefulFrame(SteadyTime now) { idle_frames_.Credit(now, kIdleForUseful); }

 private:
  static constexpr uint64_t kResetsForCompleted = 2;
  static constexpr uint64_t kIdleForUseful = 4;

  struct Account {
    uint64_t allowance;
    std::chrono::seconds period;
    SteadyTime begin = SteadyTime::min();
    uint64_t charged = 0;
    uint64_t credited = 0;

    void Turn(SteadyTime now) {
      if (begin != SteadyTime::min() && now - begin < period) return;
      begin = now;
      charged = credited = 0;
    }
    bool Charge(SteadyTime now, uint64_t count) {
      Turn(now);
      charged += count;
      return charged <= allowance + credited;
    }
    void Credit(SteadyTime now, uint64_t count) {
      Turn(now);
      credited += count;
    }
  };
  Account resets_;
  Account idle_frames_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_BUDGET_H_
