#include "agent/proxy/handlers/pool.h"

#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// Handlers may be named by an address or a name; `localhost` never asks a resolver (RFC 6761
// section 6.3).
absl::StatusOr<Host> EndpointHost(const std::string& text) {
  if (text == "localhost") return Host::FromAddress(IpAddress::FromV4(0x7f000001));
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (address.ok()) return Host::FromAddress(*address);
  return Host::Parse(text);
}

}  // namespace

Task<absl::StatusOr<std::shared_ptr<HandlerLink>>> HandlerPool::Get(
    std::shared_ptr<const HandlerSpec> handler, DialContext dial, SteadyTime deadline) {
  absl::Status last = absl::UnavailableError("the handler has no endpoint");
  for (const HandlerSpec::Endpoint& endpoint : handler->endpoints) {
    const std::string key = StrCat(endpoint.host, ":", endpoint.port);
    const auto found = links_.find(key);
    if (found != links_.end() && found->second->usable()) co_return found->second;
    absl::StatusOr<std::shared_ptr<HandlerLink>> link = co_await Connect(endpoint, dial, deadline);
    if (link.ok()) {
      // Another request may have connected meanwhile: keep theirs, use ours for this one.
      std::shared_ptr<HandlerLink>& kept = links_[key];
      if (kept == nullptr || !kept->usable()) kept = *link;
      co_return kept;
    }
    last = link.status();
  }
  co_return last;
}

Task<absl::StatusOr<std::shared_ptr<HandlerLink>>> HandlerPool::Connect(
    HandlerSpec::Endpoint endpoint, DialContext dial, SteadyTime deadline) {
  CO_ASSIGN_OR_RETURN(const Host host, EndpointHost(endpoint.host));
  const absl::StatusOr<std::vector<IpAddress>> addresses = co_await dial.resolver->Resolve(host);
  if (!addresses.ok()) co_return addresses.status();
  absl::Status last = absl::UnavailableError(StrCat(endpoint.host, " has no address"));
  for (const IpAddress& address : *addresses) {
    absl::StatusOr<std::unique_ptr<TcpStream>> stream =
        co_await ConnectTo(dial.context, address, endpoint.port, deadline);
    if (stream.ok()) {
      (*stream)->SetDeadline(SteadyTime::max());
      co_return HandlerLink::Start(context_, *std::move(stream),
                                   StrCat(host.ToUriString(), ":", endpoint.port));
    }
    last = stream.status();
  }
  co_return last;
}

void HandlerPool::Clear() {
  for (auto& [key, link] : links_) link->Close();
  links_.clear();
}

}  // namespace sallyport::proxy
