#include "common/policy/decide.h"

#include <algorithm>

#include "common/base/strings.h"

namespace sallyport {
namespace {

std::string Describe(std::string_view field, const PatternList& list, const Pattern* entry) {
  return StrCat(list.OwnerOf(entry), " ", field, " ", entry->text());
}

// Step 1. The host as it was asked for, and the address that the container dialled.
std::optional<Deny> DeniedBy(const EffectivePolicy& policy, const Host& host,
                             const IpAddress& dialled) {
  if (!policy.denied_hosts.has_value()) return std::nullopt;
  const PatternList& list = *policy.denied_hosts;
  if (const Pattern* entry = list.Match(host)) {
    return Deny{Reason::kDeniedHost, Describe("denied_hosts", list, entry)};
  }
  if (const Pattern* entry = list.MatchAddress(dialled)) {
    return Deny{Reason::kDeniedHost,
                StrCat(Describe("denied_hosts", list, entry), " (address dialled)")};
  }
  return std::nullopt;
}

// Step 2. `entry` is set if there is a list and it matches; the dialled address does not count.
std::optional<Deny> NotAllowed(const EffectivePolicy& policy, const Host& host,
                               const Pattern** entry) {
  *entry = nullptr;
  if (!policy.allowed_hosts.has_value()) return std::nullopt;
  *entry = policy.allowed_hosts->Match(host);
  if (*entry != nullptr) return std::nullopt;
  return Deny{Reason::kNotAllowed, "allowed_hosts"};
}

// The low level, then steps 3 to 6.
std::optional<ToHandler> HandlerFor(const EffectivePolicy& policy, RequestScheme scheme,
                                    const Host& host, const IpAddress& dialled) {
  const bool https = scheme == RequestScheme::kHttps;
  for (const Intercept& intercept : policy.intercepts) {
    const Pattern& target = intercept.rule.pattern;
    if (intercept.https != https) continue;
    if (!target.Matches(host) && !target.MatchesAddress(dialled)) continue;
    return ToHandler{&intercept.rule.reference,
                     StrCat("intercept ", https ? "https " : "http ", target.text())};
  }
  if (const HandlerRule* rule = policy.instance_rules.Match(host, dialled)) {
    return ToHandler{&rule->reference, StrCat("instance outbound_by_host ", rule->pattern.text())};
  }
  if (const HandlerRule* rule = policy.class_rules.Match(host, dialled)) {
    return ToHandler{&rule->reference, StrCat("class outbound_by_host ", rule->pattern.text())};
  }
  if (policy.instance_catch_all.has_value()) {
    return ToHandler{&*policy.instance_catch_all, "instance outbound"};
  }
  if (policy.class_catch_all.has_value()) {
    return ToHandler{&*policy.class_catch_all, "class outbound"};
  }
  return std::nullopt;
}

// Steps 7 to 9: the rule that permits, or the denial. `allowed` is the entry that step 2 found.
std::variant<std::string, Deny> PermittedBy(const EffectivePolicy& policy, const Pattern* allowed) {
  if (allowed != nullptr) return Describe("allowed_hosts", *policy.allowed_hosts, allowed);
  if (policy.enable_internet) return std::string("enable_internet");
  return Deny{Reason::kNoInternet, "enable_internet"};
}

// Whether decrypting would change what happens: without that, the container's own TLS is left
// alone.
bool SomethingToDecideInside(const EffectivePolicy& policy, const Host& name,
                             const IpAddress& dialled) {
  return policy.allowed_hosts.has_value() || policy.denied_hosts.has_value() ||
         HandlerFor(policy, RequestScheme::kHttps, name, dialled).has_value();
}

// Whether requests for the name would meet a handler. The question comes before any connection, so
// address rules match only a name that is an address.
bool HandlerMayServe(const EffectivePolicy& policy, const Host& name) {
  return policy.instance_catch_all.has_value() || policy.class_catch_all.has_value() ||
         policy.instance_rules.MatchName(name) != nullptr ||
         policy.class_rules.MatchName(name) != nullptr ||
         std::any_of(policy.intercepts.begin(), policy.intercepts.end(),
                     [&](const Intercept& i) { return i.rule.pattern.Matches(name); });
}

}  // namespace

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kDeniedHost:
      return "denied_host";
    case Reason::kNotAllowed:
      return "not_allowed";
    case Reason::kNoInternet:
      return "no_internet";
    case Reason::kForbiddenAddress:
      return "forbidden_address";
    case Reason::kNoPolicy:
      return "no_policy";
  }
  return "no_policy";
}

bool IsHttpPort(const EffectivePolicy& policy, uint16_t port) {
  return std::find(policy.http_ports.begin(), policy.http_ports.end(), port) !=
         policy.http_ports.end();
}

Verdict DecideRequest(const EffectivePolicy& policy, RequestScheme scheme, const Host& host,
                      const IpAddress& dialled) {
  if (std::optional<Deny> denied = DeniedBy(policy, host, dialled)) return *std::move(denied);
  const Pattern* allowed;
  if (std::optional<Deny> denied = NotAllowed(policy, host, &allowed)) return *std::move(denied);
  if (std::optional<ToHandler> handler = HandlerFor(policy, scheme, host, dialled)) {
    return *std::move(handler);
  }
  std::variant<std::string, Deny> permitted = PermittedBy(policy, allowed);
  if (auto* rule = std::get_if<std::string>(&permitted)) return Egress{std::move(*rule)};
  return std::get<Deny>(std::move(permitted));
}

TlsVerdict DecideTls(const EffectivePolicy& policy, const Host& name, const IpAddress& dialled) {
  const bool may_decrypt =
      policy.intercept_https && policy.tls_passthrough_hosts.Match(name) == nullptr;
  if (may_decrypt && SomethingToDecideInside(policy, name, dialled)) return Decrypt{};

  if (std::optional<Deny> denied = DeniedBy(policy, name, dialled)) return *std::move(denied);
  const Pattern* allowed;
  if (std::optional<Deny> denied = NotAllowed(policy, name, &allowed)) return *std::move(denied);
  std::variant<std::string, Deny> permitted = PermittedBy(policy, allowed);
  if (auto* rule = std::get_if<std::string>(&permitted)) return Relay{std::move(*rule)};
  return std::get<Deny>(std::move(permitted));
}

TcpVerdict DecideTcp(const EffectivePolicy& policy, const IpAddress& dialled,
                     const Host* dns_name) {
  const Host address = Host::FromAddress(dialled);
  if (std::optional<Deny> denied = DeniedBy(policy, address, dialled)) return *std::move(denied);
  if (dns_name != nullptr) {
    if (std::optional<Deny> denied = DeniedBy(policy, *dns_name, dialled)) {
      return *std::move(denied);
    }
  }
  const Pattern* allowed;
  std::optional<Deny> not_allowed = NotAllowed(policy, address, &allowed);
  if (not_allowed.has_value() && dns_name != nullptr) {
    not_allowed = NotAllowed(policy, *dns_name, &allowed);
  }
  if (not_allowed.has_value()) return *std::move(not_allowed);
  // Unlike HTTP: an allow list alone does not permit bytes that nobody can read.
  if (!policy.enable_internet) return Deny{Reason::kNoInternet, "enable_internet"};
  if (allowed != nullptr) return Relay{Describe("allowed_hosts", *policy.allowed_hosts, allowed)};
  return Relay{"enable_internet"};
}

DnsVerdict DecideDns(const EffectivePolicy& policy, const Host& name) {
  if (policy.denied_hosts.has_value() && policy.denied_hosts->Match(name) != nullptr) {
    return DnsVerdict::kNxdomain;
  }
  const Pattern* allowed;
  if (NotAllowed(policy, name, &allowed).has_value()) return DnsVerdict::kNxdomain;
  const bool handled = HandlerMayServe(policy, name);
  if (policy.enable_internet) {
    return handled ? DnsVerdict::kResolveOrPlaceholder : DnsVerdict::kResolve;
  }
  return allowed != nullptr || handled ? DnsVerdict::kPlaceholder : DnsVerdict::kNxdomain;
}

std::optional<Deny> CheckDialledAddress(const EffectivePolicy& policy, const IpAddress& address,
                                        const OpenRanges& open_ranges) {
  if (policy.denied_hosts.has_value()) {
    const PatternList& list = *policy.denied_hosts;
    const Pattern* entry = list.MatchAddress(address);
    for (const IpAddress& embedded : EmbeddedV4(address)) {
      if (entry == nullptr) entry = list.MatchAddress(embedded);
    }
    if (entry != nullptr) {
      return Deny{Reason::kDeniedHost, StrCat(Describe("denied_hosts", list, entry), " (address ",
                                              address.ToString(), ")")};
    }
  }
  if (!IsForbiddenAddress(address, open_ranges)) return std::nullopt;
  if (IsPrivateAddress(address) && policy.allowed_hosts.has_value() &&
      policy.allowed_hosts->MatchAddress(address) != nullptr) {
    return std::nullopt;
  }
  return Deny{Reason::kForbiddenAddress, StrCat("platform ", address.ToString())};
}

}  // namespace sallyport
