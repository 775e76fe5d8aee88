#include "common/policy/live_endpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/handler_endpoint.h"

namespace sallyport {
namespace {

using Protocol = HandlerEndpoint::Protocol;

auto At(const std::string& endpoint) {
  return [&endpoint](const v1::LiveEndpoint& one) { return one.endpoint() == endpoint; };
}

}  // namespace

absl::Status CheckLiveEndpoints(const v1::Handler& handler) {
  if (handler.live_endpoints().empty()) return absl::OkStatus();
  if (handler.has_builtin()) {
    return absl::InvalidArgumentError(StrCat(
        "a builtin asks no service, and ", Quote(handler.live_endpoints(0).endpoint()),
        " is one that registers itself with this handler; end that first, or use another name"));
  }
  std::optional<HandlerEndpoint> first;
  const auto check = [&](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(HandlerEndpoint endpoint, HandlerEndpoint::Parse(text));
    if (!first.has_value()) first = endpoint;
    if (handler.has_tls() && !endpoint.tls) {
      return absl::InvalidArgumentError(
          StrCat("the handler is registered with TLS settings, and ", Quote(text),
                 " speaks no TLS; serve grpcs:// or https://, or register it without"));
    }
    if (endpoint.protocol == first->protocol) return absl::OkStatus();
    return absl::InvalidArgumentError(StrCat(
        Quote(text), " speaks ", ProtocolName(endpoint.protocol), ", this handler's ",
        Quote(first->text), " speaks ", ProtocolName(first->protocol), "; use two handlers"));
  };
  for (const std::string& text : handler.endpoints()) RETURN_IF_ERROR(check(text));
  for (const v1::LiveEndpoint& live : handler.live_endpoints()) {
    RETURN_IF_ERROR(check(live.endpoint()));
  }
  if (handler.has_health_check() && first->protocol != Protocol::kGrpc) {
    return absl::InvalidArgumentError(
        StrCat("the handler has a health check, which is for gRPC, and ", Quote(first->text),
               " is a web server; register it without, or serve gRPC"));
  }
  return absl::OkStatus();
}

absl::Status PutLiveEndpoint(const v1::LiveEndpoint& live, v1::Handler* handler) {
  v1::Handler next = *handler;
  const auto there = std::ranges::find_if(*next.mutable_live_endpoints(), At(live.endpoint()));
  if (there != next.mutable_live_endpoints()->end()) {
    *there = live;
  } else {
    *next.add_live_endpoints() = live;
  }
  RETURN_IF_ERROR(CheckLiveEndpoints(next));
  if (next.live_endpoints_size() > kMaxLiveEndpoints) {
    return absl::ResourceExhaustedError(
        StrCat("handler ", handler->name(), " has ", kMaxLiveEndpoints,
               " live endpoints, as many as one can have; end some, or put a balancer in front"));
  }
  *handler = std::move(next);
  return absl::OkStatus();
}

const v1::LiveEndpoint* FindLiveEndpoint(const v1::Handler& handler, const std::string& endpoint) {
  const auto there = std::ranges::find_if(handler.live_endpoints(), At(endpoint));
  return there == handler.live_endpoints().end() ? nullptr : &*there;
}

void RemoveLiveEndpoint(const std::string& endpoint, v1::Handler* handler) {
  auto* const all = handler->mutable_live_endpoints();
  all->erase(std::remove_if(all->begin(), all->end(), At(endpoint)), all->end());
}

}  // namespace sallyport
