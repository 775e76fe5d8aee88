// HTTP/2 connections of one container to origins, each shared by many requests.

#ifndef SALLYPORT_AGENT_PROXY_HTTP2_ORIGINS_H_
#define SALLYPORT_AGENT_PROXY_HTTP2_ORIGINS_H_

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/event.h"
#include "agent/proxy/http/h2_client.h"
#include "agent/proxy/origin_connection.h"
#include "agent/proxy/tls/lru_map.h"

namespace sallyport::proxy {

// Belongs to one container on one worker. Also remembers which HTTP an origin speaks, so that a
// container's TLS handshake need not wait for the origin's each time.
class Http2Origins {
 public:
  // `hold_memory`: for large bodies; null: no limit.
  explicit Http2Origins(boost::asio::io_context& context, HoldWindowMemory hold_memory = nullptr);

  // Another connection is made when those there are have no room for a stream.
  static constexpr size_t kMaxConnectionsPerOrigin = 8;
  static constexpr size_t kMaxConnections = 256;
  static constexpr std::chrono::minutes kMemory{5};
  static constexpr size_t kMaxRemembered = 1024;

  enum class Use {
    kRequest,
    kWebSocket,  // Only of a connection whose origin takes them.
  };
  // A stream of the newest connection that has room for one; null: there is none. Connections whose
  // address may no longer be dialled are retired.
  std::unique_ptr<OriginConnection> Take(const OriginKey& key, Use use, AddressCheck check);
  // `stream` is connected to `address`, and the origin is known to speak HTTP/2.
  void Add(const OriginKey& key, std::unique_ptr<Stream> stream, IpAddress address);
  // How many take requests, now or once a stream has ended.
  size_t CountOf(const OriginKey& key) const;
  // Notified when a stream or a connection has ended.
  Event& room() { return *room_; }
  // Closes all of them.
  void Clear();

  void Remember(const OriginKey& key, bool http2);
  // The origin refuses requests over HTTP/2, though it speaks it (HTTP_1_1_REQUIRED, RFC 9113
  // section 7). Remembered as long.
  void RequireHttp1(const OriginKey& key);
  bool RequiresHttp1(const OriginKey& key);
  // nullopt: not known, or not known any more.
  std::optional<bool> SpeaksHttp2(const OriginKey& key);

 private:
  struct Shared {
    std::unique_ptr<H2ClientConnection> connection;
    IpAddress address;
    uint64_t last_used;  // By number of use; made counts as used.
  };
  struct Memory {
    bool http2 = false;
    bool requires_http1 = false;
    std::chrono::steady_clock::time_point until;
  };

  // Null: nothing that holds.
  const Memory* Recall(const OriginKey& key);
  // Forgets what has ended, and retires a connection if one more does not fit: of those with the
  // fewest streams the longest unused. One that its maker has yet to use is among the last of them,
  // unless all others carry streams.
  void MakeRoom();

  boost::asio::io_context& context_;
  const HoldWindowMemory hold_memory_;
  const std::shared_ptr<Event> room_;                           // Connections may outlive this.
  absl::flat_hash_map<OriginKey, std::vector<Shared>> by_key_;  // Oldest first.
  uint64_t uses_ = 0;
  LruMap<Memory> memory_{kMaxRemembered};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP2_ORIGINS_H_
