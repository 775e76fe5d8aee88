#include "agent/proxy/origin_pool.h"

#include <utility>

#include "agent/proxy/http/h1_connection.h"

namespace sallyport::proxy {

namespace {

bool IsAlive(ClientExchange& connection, OriginPool::Alive alive) {
  if (alive == OriginPool::Alive::kAsTold) {
    const auto* const http1 = dynamic_cast<const H1ClientConnection*>(&connection);
    if (http1 != nullptr && http1->SeemsIdle()) return true;
  }
  return connection.StillIdle();
}

}  // namespace

std::unique_ptr<OriginConnection> OriginPool::Take(const OriginKey& key, Alive alive,
                                                   AddressCheck check) {
  Expire();
  while (true) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    const Order::iterator idle = found->second.back();
    std::unique_ptr<OriginConnection> connection = std::move(idle->connection);
    Drop(idle);
    const AddressVerdict verdict = check(connection->address);
    const auto* may_dial = std::get_if<MayDial>(&verdict);
    if (may_dial == nullptr || !IsAlive(*connection->http, alive)) continue;
    connection->would_deny = may_dial->would_deny;
    return connection;
  }
}

void OriginPool::Put(const OriginKey& key, std::unique_ptr<OriginConnection> connection) {
  connection->reused = true;
  if (order_.size() >= kMaxIdle) Drop(order_.begin());
  order_.push_back(Idle{key, std::move(connection), std::chrono::steady_clock::now()});
  by_key_[key].push_back(std::prev(order_.end()));
}

void OriginPool::Expire() {
  const auto oldest = std::chrono::steady_clock::now() - kMaxIdleTime;
  while (!order_.empty() && order_.front().since < oldest) Drop(order_.begin());
}

void OriginPool::Clear() {
  by_key_.clear();
  order_.clear();
}

void OriginPool::Drop(Order::iterator idle) {
  const auto found = by_key_.find(idle->key);
  if (found->second.back() == idle) {
    found->second.pop_back();
  } else {
    found->second.remove(idle);
  }
  if (found->second.empty()) by_key_.erase(found);
  order_.erase(idle);
}

}  // namespace sallyport::proxy
