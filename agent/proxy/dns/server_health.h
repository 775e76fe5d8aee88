// Which of the operator's resolvers answer.

#ifndef SALLYPORT_AGENT_PROXY_DNS_SERVER_HEALTH_H_
#define SALLYPORT_AGENT_PROXY_DNS_SERVER_HEALTH_H_

#include <cstddef>
#include <vector>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Keeps to the operator's order, but asks those last that were silent lately, so that a dead one
// does not cost every question its time. Belongs to one worker.
class ServerHealth {
 public:
  // One lost packet says nothing.
  static constexpr int kSilencesToSkip = 2;
  static constexpr std::chrono::seconds kSkipTime{30};

  explicit ServerHealth(size_t servers) : servers_(servers) {}

  // Every server, by its index.
  std::vector<size_t> Order(SteadyTime now) const;
  void Answered(size_t server) { servers_[server] = Server(); }
  // It did not answer a question in its time.
  void Silent(size_t server, SteadyTime now);
  // Nobody listens there, or there is no way to it.
  void Unreachable(size_t server, SteadyTime now);

 private:
  struct Server {
    int silences = 0;  // In a row.
    SteadyTime skipped_until;
  };
  std::vector<Server> servers_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_SERVER_HEALTH_H_
