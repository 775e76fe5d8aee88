#include "agent/proxy/dns/server_health.h"

namespace sallyport::proxy {

std::vector<size_t> ServerHealth::Order(SteadyTime now) const {
  std::vector<size_t> order;
  std::vector<size_t> skipped;
  for (size_t server = 0; server < servers_.size(); ++server) {
    (servers_[server].skipped_until <= now ? order : skipped).push_back(server);
  }
  order.insert(order.end(), skipped.begin(), skipped.end());
  return order;
}

void ServerHealth::Silent(size_t server, SteadyTime now) {
  if (++servers_[server].silences >= kSilencesToSkip) Unreachable(server, now);
}

void ServerHealth::Unreachable(size_t server, SteadyTime now) {
  servers_[server].skipped_until = now + kSkipTime;
}

}  // namespace sallyport::proxy
