#include "agent/proxy/handlers/endpoint_choice.h"

#include <algorithm>
#include <tuple>

namespace sallyport::proxy {

bool EndpointHealth::Failed(SteadyTime now) {
  if (++failures_in_a_row_ < kFailures) return false;
  ejected_until_ = now + next_ejection_;
  next_ejection_ = std::min(2 * next_ejection_, kLongestEjection);
  return true;
}

std::vector<size_t> OrderToTry(const std::vector<EndpointCandidate>& candidates, size_t turn,
                               SteadyTime now) {
  const size_t count = candidates.size();
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  const auto rank = [&](size_t index) {
    const EndpointCandidate& one = candidates[index];
    const bool ejected = now < one.ejected_until;
    const size_t place = (index + count - turn % count) % count;
    return std::tuple(one.tried, ejected, ejected ? one.ejected_until : SteadyTime{}, one.in_flight,
                      place);
  };
  std::ranges::sort(order, {}, rank);
  return order;
}

}  // namespace sallyport::proxy
