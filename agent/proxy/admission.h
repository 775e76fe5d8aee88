// Whether there is room for one more: in the container's budget, and in the proxy as a whole.

#ifndef SALLYPORT_AGENT_PROXY_ADMISSION_H_
#define SALLYPORT_AGENT_PROXY_ADMISSION_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "agent/proxy/container.h"
#include "agent/proxy/gauge.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// There is no room. `limit`: the container's; none: the whole proxy is overloaded.
struct OverBudget {
  std::optional<Limit> limit;
  // 429 where the container can do something about it at once, else 503.
  int status = 503;

  // An audit reason.
  std::string_view reason() const { return limit.has_value() ? "over_budget" : "overloaded"; }
  // The limit's name, or empty.
  std::string_view name() const { return limit.has_value() ? InfoOf(*limit).name : ""; }
};

// What each holds of the budget, until it ends.
struct ConnectionTokens {
  Gauge::Token connection;
  Gauge::Token memory;
  Gauge::Token in_proxy;
};
struct RequestTokens {
  Gauge::Token request;
  Gauge::Token memory;
  Gauge::Token websocket;
};

// The next connection is taken later. `limit` as in OverBudget.
struct NotYet {
  std::optional<Limit> limit;
  std::chrono::milliseconds pause;
};

// The rate is not touched: TakeConnection is called once there is a connection.
std::variant<ConnectionTokens, NotYet> AdmitConnection(Container& container);
void TakeConnection(Container& container);

std::variant<RequestTokens, OverBudget> AdmitRequest(Container& container, bool websocket);
std::variant<Gauge::Token, OverBudget> AdmitHandlerCall(Container& container);
// Waits for its turn. RESOURCE_EXHAUSTED, with the limit's name: it would come too late, or too
// many shake hands.
Task<absl::StatusOr<Gauge::Token>> AdmitHandshake(Container& container);
// The same for the certificate of `name`, if it has to be made.
Task<absl::Status> AdmitLeaf(Container& container, const Host& name);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_ADMISSION_H_
