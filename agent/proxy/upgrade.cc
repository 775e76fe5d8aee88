#include "agent/proxy/upgrade.h"

#include <utility>

#include "common/policy/decide.h"

namespace sallyport::proxy {

UpgradedConnection::UpgradedConnection(ContainerPtr container, Stream* client, Parts parts)
    : container_(std::move(container)),
      client_(client),
      parts_(std::move(parts)),
      registration_(container_, this) {}

std::optional<Denial> UpgradedConnection::DeniedBy(const EffectivePolicy* policy) const {
  if (policy == nullptr) return Denial{Reason::kNoPolicy};
  Verdict verdict =
      DecideRequest(*policy, parts_.request.scheme, parts_.request.host, parts_.dialled);
  if (const auto* deny = std::get_if<Deny>(&verdict)) return ToDenial(*deny);
  if (!(parts_.origin_host == parts_.request.host)) {
    if (std::get_if<ToHandler>(&verdict) != nullptr) {
      const AddressVerdict host = CheckForwardHost(*policy, parts_.origin_host);
      if (const auto* deny = std::get_if<Deny>(&host)) return ToDenial(*deny);
    } else {
      verdict = DecideRequest(*policy, parts_.origin_scheme, parts_.origin_host, parts_.dialled);
      if (const auto* deny = std::get_if<Deny>(&verdict)) return ToDenial(*deny);
    }
  }
  const AddressVerdict address =
      CheckDialledAddress(*policy, parts_.origin->address, *container_->dial_context().open_ranges);
  if (const auto* deny = std::get_if<Deny>(&address)) return ToDenial(*deny);
  return std::nullopt;
}

void UpgradedConnection::OnPolicyChange(const EffectivePolicy* policy) {
  if (DeniedBy(policy).has_value()) CloseNow();
}

void UpgradedConnection::CloseNow() {
  closed_ = true;
  client_->Close(Stream::How::kReset);
  parts_.origin->http->Abort();
}

Task<std::string> UpgradedConnection::Relay(ServerExchange* http) {
  const std::string first = parts_.origin->http->TakeBuffered();
  const absl::Status written = co_await http->SwitchToWebSocket(parts_.answer, first);
  if (written.ok()) {
    const RelayedBytes relayed = co_await RelayBytes(
        container_->dial_context().context, client_, &parts_.origin->http->tunnel(),
        http->TakeBuffered(), container_->limits().Time(Limit::kRelayIdleTimeoutMs));
    bytes_.from_client = relayed.from_client;
    bytes_.to_client = first.size() + relayed.to_client;
  }
  if (closed_) co_return "closed by a change of policy or by detachment";
  if (written.ok()) co_return "";
  client_->Close(Stream::How::kReset);
  parts_.origin->http->Abort();
  co_return "the container hung up before the answer";
}

}  // namespace sallyport::proxy
