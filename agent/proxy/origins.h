// What one container has open towards origins.

#ifndef SALLYPORT_AGENT_PROXY_ORIGINS_H_
#define SALLYPORT_AGENT_PROXY_ORIGINS_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/event.h"
#include "agent/proxy/http2_origins.h"
#include "agent/proxy/origin_connection.h"
#include "agent/proxy/origin_pool.h"

namespace sallyport::proxy {

// `status` and `reason` as in docs/policy.md; `detail` is for the operator.
struct OriginFailure {
  int status = 502;
  std::string_view reason;
  std::string detail;
};

// A connection that is being made for all who wait for it. A success is found in the pools.
struct OriginAttempt {
  explicit OriginAttempt(boost::asio::io_context& context) : ended(context) {}

  Event ended;
  std::optional<std::variant<Denial, OriginFailure>> failure;
};

// Belongs to one container on one worker.
struct Origins {
  Origins(boost::asio::io_context& context, HoldWindowMemory hold_memory)
      : http2(context, std::move(hold_memory)) {}

  OriginPool http1;
  Http2Origins http2;
  absl::flat_hash_map<OriginKey, std::shared_ptr<OriginAttempt>> attempts;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ORIGINS_H_
