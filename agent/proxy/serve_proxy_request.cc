#include "agent/proxy/serve_proxy_request.h"

#include <memory>
#include <utility>
#include <vector>

#include "agent/proxy/connection_audit.h"
#include "agent/proxy/proxy_credential.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/tunnel.h"

namespace sallyport::proxy {
namespace {

constexpr uint16_t kDnsPort = 53;
constexpr size_t kMaxAuditMethodBytes = 32;

// Where a container with a network of its own would have connected to for the name: policy may
// speak of addresses. As its DNS would, asks nobody about a name that is refused or that only a
// handler serves.
Task<std::optional<IpAddress>> AddressOf(ContainerPtr container, Host host) {
  if (host.is_address()) co_return host.address();
  const std::shared_ptr<const EffectivePolicy> policy = container->policy();
  if (policy == nullptr) co_return std::nullopt;
  const DnsVerdict::Action action = DecideDns(*policy, host).action;
  if (action == DnsVerdict::Action::kNxdomain || action == DnsVerdict::Action::kPlaceholder)
    co_return std::nullopt;
  const DialContext context = container->dial_context();
  const absl::StatusOr<std::vector<IpAddress>> addresses = co_await context.resolver->Resolve(host);
  if (!addresses.ok() || addresses->empty()) co_return std::nullopt;
  for (const IpAddress& address : *addresses) {
    const AddressVerdict verdict = CheckDialledAddress(*policy, address, *context.open_ranges);
    if (std::holds_alternative<MayDial>(verdict)) co_return address;
  }
  co_return addresses->front();
}

Task<Origin> OriginFor(ContainerPtr container, Host host, uint16_t port) {
  Origin origin;
  origin.port = port;
  const std::optional<IpAddress> address = co_await AddressOf(std::move(container), host);
  if (address.has_value()) origin.address = *address;
  if (!host.is_address()) origin.name = std::make_shared<const Host>(std::move(host));
  co_return origin;
}

// As far as it is known before its name has been looked up.
Origin AskedFor(const RequestHead& head) {
  Origin asked;
  asked.port = head.authority.port.value_or(DefaultPort(RequestScheme::kHttp));
  return asked;
}

void Record(const ClientConnection& client, const RequestHead& head, Origin origin,
            Outcome outcome) {
  AuditRecord record =
      ConnectionRecord(*client.container, origin, IsConnect(head) ? "tcp" : "http");
  record.method = head.method.substr(0, kMaxAuditMethodBytes);
  if (!IsConnect(head)) record.path = AuditPath(head.target);
  record.host = head.authority.host.text();
  record.decision = outcome.decision;
  record.reason = outcome.reason;
  record.rule = std::move(outcome.rule);
  record.status = outcome.status;
  record.detail = std::move(outcome.detail);
  client.container->Audit(record);
}

// What is said to a name's port by HTTP or TLS is decided when it is said. What would be refused
// whatever it is, is refused now, where the client reads why.
std::optional<Denial> DeniedAnyhow(const EffectivePolicy* policy, const Origin& origin) {
  if (policy == nullptr) return Denial{Reason::kNoPolicy};
  if (origin.name == nullptr) return std::nullopt;
  const Verdict plain = DecideRequest(*policy, RequestScheme::kHttp, *origin.name, origin.address);
  const Verdict tls = DecideRequest(*policy, RequestScheme::kHttps, *origin.name, origin.address);
  const auto* const deny = std::get_if<Deny>(&tls);
  if (deny == nullptr || !std::holds_alternative<Deny>(plain)) return std::nullopt;
  return ToDenial(*deny);
}

// A port that is not for HTTP is as one that is relayed: the same may be reached, in whatever
// words.
std::optional<Denial> DeniedAsTcp(const EffectivePolicy* policy, const Origin& origin) {
  if (policy == nullptr || IsHttpPort(*policy, origin.port)) return std::nullopt;
  const TcpVerdict verdict = DecideTcp(*policy, origin.address, origin.name.get());
  const auto* const deny = std::get_if<Deny>(&verdict);
  return deny == nullptr ? std::nullopt : std::optional(ToDenial(*deny));
}

Task<void> RefuseByPolicy(const ClientConnection& client, const RequestHead& head,
                          const Origin& origin, const EffectivePolicy* policy, Denial denial) {
  Outcome outcome;
  outcome.decision = "deny";
  outcome.reason = ReasonName(denial.reason);
  outcome.rule = std::move(denial.rule);
  outcome.status = co_await RefuseForReason(client.http, policy, outcome.reason);
  Record(client, head, origin, std::move(outcome));
}

Task<std::optional<Origin>> ServeConnect(ClientConnection client, RequestHead head) {
  const ContainerPtr container = client.container;
  const Origin origin = co_await OriginFor(container, head.authority.host, *head.authority.port);
  const std::shared_ptr<const EffectivePolicy> policy = container->policy();
  if (policy != nullptr && !IsHttpPort(*policy, origin.port)) {
    co_await ServeConnectTunnel(container, origin, client.http);
    co_return std::nullopt;
  }
  std::optional<Denial> denial = DeniedAnyhow(policy.get(), origin);
  if (denial.has_value()) {
    co_await RefuseByPolicy(client, head, origin, policy.get(), *std::move(denial));
    co_return std::nullopt;
  }
  const absl::Status agreed = co_await client.http->AcceptConnect();
  if (agreed.ok()) co_return origin;
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = "bad_request";
  outcome.detail = "the container hung up before the answer";
  Record(client, head, origin, std::move(outcome));
  co_return std::nullopt;
}

}  // namespace

Task<void> RefuseTunnel(ClientConnection client, RequestHead head, OverBudget over) {
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = over.reason();
  outcome.detail = over.name();
  outcome.status = co_await RefuseForReason(client.http, nullptr, outcome.reason);
  Record(client, head, AskedFor(head), std::move(outcome));
}

Task<std::optional<Origin>> ServeProxyRequest(ClientConnection client, RequestHead head) {
  const ProxyCredential& credential = *client.container->proxy_credential();
  const ProxyCredential::Shown shown = credential.In(head.headers);
  // Whatever becomes of the request: it is the proxy's alone.
  head.headers.Remove("proxy-authorization");
  if (shown != ProxyCredential::Shown::kRight) {
    Outcome outcome = co_await DemandCredential(
        client, shown == ProxyCredential::Shown::kNothing ? "no credential" : "a wrong credential");
    Record(client, head, AskedFor(head), std::move(outcome));
    co_return std::nullopt;
  }
  if (!IsConnect(head) && head.absolute_scheme.empty()) {
    co_await ServeBadMessage(client, 400,
                             "a request to the proxy itself; ask it for http://HOST/ or CONNECT");
    co_return std::nullopt;
  }
  const Origin asked = AskedFor(head);
  if (asked.port == kDnsPort) {
    Outcome outcome = co_await RefuseRequest(
        client, Refusal{400, "bad_request", "names are looked up by the proxy, not through it"});
    Record(client, head, asked, std::move(outcome));
    co_return std::nullopt;
  }
  if (IsConnect(head)) co_return co_await ServeConnect(std::move(client), std::move(head));
  client.origin = co_await OriginFor(client.container, head.authority.host, asked.port);
  const std::shared_ptr<const EffectivePolicy> policy = client.container->policy();
  std::optional<Denial> denial = DeniedAsTcp(policy.get(), client.origin);
  if (denial.has_value()) {
    co_await RefuseByPolicy(client, head, client.origin, policy.get(), *std::move(denial));
  } else {
    co_await ServeRequest(std::move(client), std::move(head));
  }
  co_return std::nullopt;
}

}  // namespace sallyport::proxy
