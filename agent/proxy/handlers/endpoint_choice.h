// Which of a handler's endpoints is asked. Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_ENDPOINT_CHOICE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_ENDPOINT_CHOICE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// How one container's calls fared at an endpoint, lately. An endpoint that fails kFailures times in
// a row is left out for a time that doubles from kFirstEjection to kLongestEjection as long as no
// call is answered. Each container judges by its own calls: what one has fail is no other's loss.
class EndpointHealth {
 public:
  static constexpr int kFailures = 3;
  static constexpr std::chrono::seconds kFirstEjection{1};
  static constexpr std::chrono::seconds kLongestEjection{60};

  void Answered() { *this = EndpointHealth(); }
  // Whether it is left out from here on.
  bool Failed(SteadyTime now);

  bool ejected(SteadyTime now) const { return now < ejected_until_; }
  SteadyTime ejected_until() const { return ejected_until_; }

 private:
  int failures_in_a_row_ = 0;
  std::chrono::seconds next_ejection_ = kFirstEjection;
  SteadyTime ejected_until_{};
};

struct EndpointCandidate {
  int64_t in_flight = 0;
  // Left out until then; the past: it is not.
  SteadyTime ejected_until{};
  // This request was put to it already.
  bool tried = false;
};

// Indices in the order in which they are to be tried: those that were not tried before those that
// were, those that are not left out first, by calls in flight; then those that are, the one that
// has the least time left first. Every one has its place, so that something is always asked.
// `turn` decides between equals.
std::vector<size_t> OrderToTry(const std::vector<EndpointCandidate>& candidates, size_t turn,
                               SteadyTime now);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_ENDPOINT_CHOICE_H_
