#include "agent/proxy/tunnel.h"

#include <optional>
#include <utility>

#include "agent/proxy/connection_audit.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/relay.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kConnectTime{10};

using Clock = std::chrono::steady_clock;

// What the tunnel is for; decided again at each change of policy.
struct Target {
  bool tls = false;
  Host host;  // Dialled: the TLS name, or what the container dialled or asked a proxy for.
  // Plain TCP: the name that our DNS gave the address for, or that the proxy was asked for.
  std::optional<Host> dns_name;
  IpAddress dialled;
};

TcpVerdict DecideTunnel(const EffectivePolicy& policy, const Target& target) {
  if (!target.tls) {
    return DecideTcp(policy, target.dialled,
                     target.dns_name.has_value() ? &*target.dns_name : nullptr);
  }
  const TlsVerdict verdict = DecideTls(policy, target.host, target.dialled);
  if (const auto* deny = std::get_if<Deny>(&verdict)) return *deny;
  if (const auto* relay = std::get_if<Relay>(&verdict)) return *relay;
  // What is to be decrypted now was not when the tunnel was made: its inside cannot be decided any
  // more.
  const Rule rule{"", "to be decrypted", nullptr, "", {}};
  if (policy.monitor) return Relay{rule, Reason::kNotAllowed};
  return Deny{Reason::kNotAllowed, rule};
}

// Who asked for the tunnel.
struct Client {
  Stream* stream;
  ServerExchange* connect = nullptr;  // Its CONNECT, which is yet to be answered; null: none.
};

Target TcpTarget(const Container& container, const Origin& origin) {
  Target target;
  target.dialled = origin.address;
  if (origin.name != nullptr) {
    target.host = *origin.name;
    target.dns_name = *origin.name;
  } else {
    target.host = Host::FromAddress(origin.address);
    target.dns_name = container.dns_names().NameOf(origin.address);
  }
  return target;
}

// Ends both sides when the policy turns against the tunnel.
class OpenTunnel final : public ClosableConnection {
 public:
  OpenTunnel(const Container& container, const Target& target, Stream* client)
      : container_(container), target_(target), client_(client) {}

  void SetUpstream(Stream* upstream, const IpAddress& address) {
    upstream_ = upstream;
    address_ = address;
  }
  void OnPolicyChange(const EffectivePolicy* policy) override {
    if (policy == nullptr || IsDenied(*policy)) CloseNow();
  }
  void CloseNow() override {
    closed_ = true;
    client_->Close(Stream::How::kReset);
    if (upstream_ != nullptr) upstream_->Close(Stream::How::kReset);
  }
  bool closed() const { return closed_; }

 private:
  bool IsDenied(const EffectivePolicy& policy) const {
    if (std::holds_alternative<Deny>(DecideTunnel(policy, target_))) return true;
    if (upstream_ == nullptr) return false;
    const OpenRanges& open_ranges = *container_.dial_context().open_ranges;
    return std::holds_alternative<Deny>(CheckDialledAddress(policy, address_, open_ranges));
  }

  const Container& container_;
  const Target& target_;
  Stream* const client_;
  Stream* upstream_ = nullptr;
  IpAddress address_;
  bool closed_ = false;
};

void RecordDenial(Denial denial, AuditRecord* record) {
  record->decision = "deny";
  record->reason = ReasonName(denial.reason);
  record->rule = std::move(denial.rule);
}

// What the policy of this moment says, in a form that outlives it.
struct Permitted {
  std::string rule;
  std::optional<Reason> would_deny;
};
std::variant<Permitted, Denial> Decide(const EffectivePolicy* policy, const Target& target) {
  if (policy == nullptr) return Denial{Reason::kNoPolicy};
  const TcpVerdict verdict = DecideTunnel(*policy, target);
  if (const auto* deny = std::get_if<Deny>(&verdict)) return ToDenial(*deny);
  const Relay& relay = std::get<Relay>(verdict);
  return Permitted{relay.rule.ToString(), relay.would_deny};
}

// Tells the client that there is no tunnel: by an answer to its CONNECT, or by a reset.
Task<void> Refuse(const Container& container, const Client& client, AuditRecord* record) {
  if (client.connect == nullptr) {
    client.stream->Close(Stream::How::kReset);
  } else {
    record->status =
        co_await RefuseForReason(client.connect, container.policy().get(), record->reason);
  }
}

// What the client sent behind its CONNECT; only once it is agreed to.
Task<absl::StatusOr<std::string>> Agree(ServerExchange* connect) {
  CO_RETURN_IF_ERROR(co_await connect->AcceptConnect());
  co_return connect->TakeBuffered();
}

Task<void> Serve(ContainerPtr container, Origin origin, Client client, std::string early,
                 Target target) {
  const Clock::time_point start = Clock::now();
  AuditRecord record = ConnectionRecord(*container, origin, target.tls ? "tls" : "tcp");
  if (client.connect != nullptr) record.method = "CONNECT";
  record.host = target.dns_name.has_value() ? target.dns_name->text() : target.host.text();
  OpenTunnel open(*container, target, client.stream);
  const Container::Registration registration(container, &open);

  std::variant<Permitted, Denial> verdict = Decide(container->policy().get(), target);
  if (auto* denial = std::get_if<Denial>(&verdict)) {
    RecordDenial(std::move(*denial), &record);
    co_await Refuse(*container, client, &record);
    container->Audit(record);
    co_return;
  }
  const auto& permitted = std::get<Permitted>(verdict);
  if (permitted.would_deny.has_value()) record.would_deny = ReasonName(*permitted.would_deny);
  DialResult dialled = co_await Dial(container->dial_context(), container->policy_source(),
                                     target.host, origin.port, start + kConnectTime);
  if (auto* reached = std::get_if<Dialled>(&dialled)) {
    reached->stream->UseTurns(container->turns());
    open.SetUpstream(reached->stream.get(), reached->address);
    // The policy may have turned against the address while the connection was being made.
    open.OnPolicyChange(container->policy().get());
    record.decision = "relay";
    record.rule = permitted.rule;
    if (record.would_deny.empty() && reached->would_deny.has_value())
      record.would_deny = ReasonName(*reached->would_deny);
    record.upstream = StrCat(reached->address.ToUriString(), ":", origin.port);
    absl::StatusOr<std::string> first = std::move(early);
    if (!open.closed() && client.connect != nullptr) first = co_await Agree(client.connect);
    if (open.closed()) {
      RecordDenial(Denial{Reason::kNotAllowed, "policy changed while connecting"}, &record);
    } else if (!first.ok()) {
      record.detail = "the container hung up before the answer";
    } else {
      const RelayedBytes bytes = co_await RelayBytes(
          container->dial_context().context, client.stream, reached->stream.get(),
          *std::move(first), container->limits().Time(Limit::kRelayIdleTimeoutMs));
      record.bytes_received = bytes.from_client;
      record.bytes_sent = bytes.to_client;
      if (open.closed()) record.detail = "closed by a change of policy or by detachment";
    }
  } else if (auto* denial = std::get_if<Denial>(&dialled)) {
    RecordDenial(std::move(*denial), &record);
  } else if (const auto* failed = std::get_if<DialFailed>(&dialled)) {
    record.decision = "error";
    record.reason = failed->reason;
    record.detail = failed->detail;
  }
  if (record.decision != "relay") co_await Refuse(*container, client, &record);
  record.duration_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
  container->Audit(record);
}

}  // namespace

Task<void> ServeTlsTunnel(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> client,
                          std::string early, Host name) {
  Target target;
  target.tls = true;
  target.host = std::move(name);
  target.dialled = origin.address;
  co_await Serve(std::move(container), origin, {client.get()}, std::move(early), std::move(target));
}

Task<void> ServeTcpTunnel(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> client,
                          std::string early) {
  Target target = TcpTarget(*container, origin);
  co_await Serve(std::move(container), origin, {client.get()}, std::move(early), std::move(target));
}

Task<void> ServeConnectTunnel(ContainerPtr container, Origin origin, ServerExchange* connect) {
  Target target = TcpTarget(*container, origin);
  co_await Serve(std::move(container), origin, {&connect->tunnel(), connect}, "",
                 std::move(target));
}

}  // namespace sallyport::proxy
