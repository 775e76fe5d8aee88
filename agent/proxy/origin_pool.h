// Idle keep-alive connections of one container to origins.

#ifndef SALLYPORT_AGENT_PROXY_ORIGIN_POOL_H_
#define SALLYPORT_AGENT_PROXY_ORIGIN_POOL_H_

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/http/http_exchange.h"
#include "common/net/host.h"
#include "common/policy/steps.h"

namespace sallyport::proxy {

// What makes two connections of a container differ. The address is not in it: it is checked again
// when a connection is taken.
struct OriginKey {
  bool tls = false;
  Host host;
  uint16_t port = 0;

  friend bool operator==(const OriginKey&, const OriginKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const OriginKey& key) {
    return H::combine(std::move(h), key.tls, key.host, key.port);
  }
};

struct OriginConnection {
  std::unique_ptr<ClientExchange> http;
  IpAddress address;
  // Whether it carried an exchange before: the origin may be about to close it.
  bool reused = false;
  // In monitor mode: an enforcing class would not have dialled the address. Of the exchange that
  // uses the connection now.
  std::optional<Reason> would_deny = {};
};

// Belongs to one container on one worker. At most kMaxIdle connections in all (the longest idle
// goes first), each for at most kMaxIdleTime.
class OriginPool {
 public:
  static constexpr size_t kMaxIdle = 256;
  static constexpr std::chrono::seconds kMaxIdleTime{30};

  // The connection used last, if one is alive; null otherwise.
  std::unique_ptr<OriginConnection> Take(const OriginKey& key);
  // REQUIRES: connection->http->reusable().
  void Put(const OriginKey& key, std::unique_ptr<OriginConnection> connection);
  // Closes what has been idle for too long; called now and then.
  void Expire();
  void Clear();

 private:
  struct Idle {
    OriginKey key;
    std::unique_ptr<OriginConnection> connection;
    std::chrono::steady_clock::time_point since;
  };
  using Order = std::list<Idle>;  // Longest idle first.
  void Drop(Order::iterator idle);

  Order order_;
  absl::flat_hash_map<OriginKey, std::list<Order::iterator>> by_key_;  // Used last at the back.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ORIGIN_POOL_H_
