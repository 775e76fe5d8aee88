// Input: a serialised Delta. Whatever it holds, the builder and the decision come through, and what
// was normalised stays so.

#include <cstddef>
#include <cstdint>

#include "common/base/check.h"
#include "common/policy/decide.h"
#include "common/policy/explain.h"
#include "common/policy/snapshot.h"

namespace {

using namespace sallyport;  // NOLINT(build/namespaces)

void CheckStable(const v1::Resource& resource) {
  if (resource.has_class_()) {
    v1::ContainerClass once = resource.class_();
    if (!NormaliseClass(&once).ok()) return;
    v1::ContainerClass twice = once;
    SALLYPORT_CHECK(NormaliseClass(&twice).ok());
    SALLYPORT_CHECK(twice.allowed_hosts().hosts_size() == once.allowed_hosts().hosts_size());
  } else if (resource.has_container()) {
    v1::ContainerPolicy once = resource.container();
    if (!NormaliseContainer(&once).ok()) return;
    SALLYPORT_CHECK(NormaliseContainer(&once).ok());
  } else if (resource.has_handler()) {
    v1::Handler once = resource.handler();
    if (!NormaliseHandler(&once).ok()) return;
    SALLYPORT_CHECK(NormaliseHandler(&once).ok());
    // Nobody gives these: they are checked where services come in, and where they are used.
    once.clear_live_endpoints();
    SALLYPORT_CHECK(HandlerSpec::FromProto(once, 1).ok());
  }
}

// Explaining must come to the verdict that deciding comes to.
void CheckExplained(const EffectivePolicy& policy, const Host& host, const IpAddress& dialled,
                    const Verdict& verdict) {
  if (!IsHttpPort(policy, 80)) return;
  const ExplainQuery query{ExplainQuery::Scheme::kHttp, host, 80, dialled, {}};
  const Explanation explanation = ExplainRequest(policy, query, {*Cidr::Parse("0.0.0.0/0")});
  if (host.is_address() && explanation.steps.back().decides) return;
  SALLYPORT_CHECK(std::holds_alternative<Deny>(verdict) == (explanation.decision == "deny"));
  SALLYPORT_CHECK(std::holds_alternative<ToHandler>(verdict) ==
                  (explanation.decision == "handler"));
}

void DecideEverything(const EffectivePolicy& policy) {
  const IpAddress dialled = *IpAddress::Parse("203.0.113.10");
  for (const char* text : {"a.com", "x.test", "203.0.113.10", "[2001:db8::1]"}) {
    const Host host = *Host::Parse(text);
    const Verdict verdict = DecideRequest(policy, RequestScheme::kHttp, host, dialled);
    const DnsVerdict dns = DecideDns(policy, host);
    const bool is_monitored = policy.monitor;
    SALLYPORT_CHECK(!is_monitored || !std::holds_alternative<Deny>(verdict));
    if (policy.allowed_hosts.has_value() && policy.allowed_hosts->Match(host) == nullptr) {
      SALLYPORT_CHECK(is_monitored || std::holds_alternative<Deny>(verdict));
    }
    if (policy.denied_hosts.has_value() && policy.denied_hosts->Match(host) != nullptr) {
      SALLYPORT_CHECK(is_monitored || std::holds_alternative<Deny>(verdict));
      SALLYPORT_CHECK(is_monitored || dns.action == DnsVerdict::Action::kNxdomain);
      SALLYPORT_CHECK(!is_monitored || dns.would_deny == Reason::kDeniedHost);
    }
    CheckExplained(policy, host, dialled, verdict);
    DecideTls(policy, host, dialled);
    DecideTcp(policy, dialled, &host);
  }
  CheckDialledAddress(policy, dialled, {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  v1::Delta delta;
  if (!delta.ParseFromArray(data, static_cast<int>(size))) return 0;
  for (const v1::Resource& resource : delta.updated()) CheckStable(resource);
  SnapshotBuilder builder;
  const SnapshotBuilder::Applied applied = builder.Apply(delta);
  for (const auto& [id, policy] : applied.snapshot->containers) DecideEverything(*policy);
  // The same once more changes nothing.
  const SnapshotBuilder::Applied again = builder.Apply(delta);
  SALLYPORT_CHECK(again.snapshot->containers.size() == applied.snapshot->containers.size());
  return 0;
}
