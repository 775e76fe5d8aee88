// Passes bytes through, both ways, without looking at them.

#ifndef SALLYPORT_AGENT_PROXY_RELAY_H_
#define SALLYPORT_AGENT_PROXY_RELAY_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

struct RelayedBytes {
  uint64_t from_client = 0;
  uint64_t to_client = 0;
};

// Until both directions have ended, one side resets, or nothing moves for `idle_time`. `early`
// goes to the upstream first. Half-closed directions are passed on. Both streams are closed
// afterwards.
Task<RelayedBytes> RelayBytes(boost::asio::io_context* context, Stream* client, Stream* upstream,
                              std::string early, std::chrono::milliseconds idle_time);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_RELAY_H_
