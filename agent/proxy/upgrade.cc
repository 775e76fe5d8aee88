#include "agent/proxy/upgrade.h"

#include <utility>

#include "agent/proxy/ask_handler.h"

namespace sallyport::proxy {

UpgradedConnection::UpgradedConnection(ContainerPtr container, Stream* client, Parts parts)
    : container_(std::move(container)),
      client_(client),
      parts_(std::move(parts)),
      registration_(container_, this) {}

std::optional<Deny> UpgradedConnection::DeniedBy(const EffectivePolicy* policy) const {
  if (policy == nullptr) return Deny{Reason::kNoPolicy, ""};
  Verdict verdict =
      DecideRequest(*policy, parts_.request.scheme, parts_.request.host, parts_.dialled);
  if (auto* deny = std::get_if<Deny>(&verdict)) return std::move(*deny);
  if (!(parts_.origin_host == parts_.request.host)) {
    if (std::get_if<ToHandler>(&verdict) != nullptr) {
      std::optional<Deny> deny = CheckForwardHost(*policy, parts_.origin_host);
      if (deny.has_value()) return deny;
    } else {
      verdict = DecideRequest(*policy, parts_.origin_scheme, parts_.origin_host, parts_.dialled);
      if (auto* deny = std::get_if<Deny>(&verdict)) return std::move(*deny);
    }
  }
  return CheckDialledAddress(*policy, parts_.origin->address,
                             *container_->dial_context().open_ranges);
}

void UpgradedConnection::OnPolicyChange(const EffectivePolicy* policy) {
  if (DeniedBy(policy).has_value()) CloseNow();
}

void UpgradedConnection::CloseNow() {
  closed_ = true;
  client_->Close(Stream::How::kReset);
  parts_.origin->http->stream().Close(Stream::How::kReset);
}

Task<std::string> UpgradedConnection::Relay(H1ServerConnection* http) {
  const std::string first = parts_.origin->http->TakeBuffered();
  const absl::Status written = co_await http->SwitchToWebSocket(parts_.answer, first);
  if (written.ok()) {
    const RelayedBytes relayed =
        co_await RelayBytes(container_->dial_context().context, client_,
                            &parts_.origin->http->stream(), http->TakeBuffered());
    bytes_.from_client = relayed.from_client;
    bytes_.to_client = first.size() + relayed.to_client;
  }
  if (closed_) co_return "closed by a change of policy or by detachment";
  if (written.ok()) co_return "";
  client_->Close(Stream::How::kReset);
  parts_.origin->http->stream().Close(Stream::How::kReset);
  co_return "the container hung up before the answer";
}

}  // namespace sallyport::proxy
