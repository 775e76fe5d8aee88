// Idle HTTP/1 connections of one container to origins.

#ifndef SALLYPORT_AGENT_PROXY_ORIGIN_POOL_H_
#define SALLYPORT_AGENT_PROXY_ORIGIN_POOL_H_

#include <chrono>
#include <list>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/origin_connection.h"

namespace sallyport::proxy {

// Belongs to one container on one worker. At most kMaxIdle connections in all (the longest idle
// goes first), each for at most kMaxIdleTime.
class OriginPool {
 public:
  static constexpr size_t kMaxIdle = 256;
  static constexpr std::chrono::seconds kMaxIdleTime{30};

  // Who says that the origin has not closed a connection.
  enum class Alive {
    kAsTold,  // The event loop, which does not know what has come since its present pass began.
    kAsked,   // The kernel: a system call.
  };
  // The connection used last, if one is alive; null otherwise. Those whose address may no longer be
  // dialled are closed.
  std::unique_ptr<OriginConnection> Take(const OriginKey& key, Alive alive, AddressCheck check);
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
