// Connections of one container to handlers.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_POOL_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_POOL_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/dial.h"
#include "agent/proxy/handlers/link.h"
#include "common/policy/snapshot.h"

namespace sallyport::proxy {

// One HTTP/2 connection for each endpoint, made when first needed. Belongs to one container on one
// worker.
class HandlerPool {
 public:
  explicit HandlerPool(boost::asio::io_context& context) : context_(context) {}

  // A link to the first of the handler's endpoints that answers. UNAVAILABLE or DEADLINE_EXCEEDED:
  // none did. The pool must outlive the call.
  Task<absl::StatusOr<std::shared_ptr<HandlerLink>>> Get(std::shared_ptr<const HandlerSpec> handler,
                                                         DialContext dial, SteadyTime deadline);
  // Closes every link and its calls.
  void Clear();

 private:
  Task<absl::StatusOr<std::shared_ptr<HandlerLink>>> Connect(HandlerSpec::Endpoint endpoint,
                                                             DialContext dial, SteadyTime deadline);

  boost::asio::io_context& context_;
  absl::flat_hash_map<std::string, std::shared_ptr<HandlerLink>> links_;  // By "host:port".
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_POOL_H_
