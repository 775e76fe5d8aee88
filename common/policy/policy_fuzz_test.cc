// Input: a serialised Delta. Whatever it holds, the builder and the decision come through, and what
// was normalised stays so.

#include <cstddef>
#include <cstdint>

#include "common/base/check.h"
#include "common/policy/decide.h"
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
    SALLYPORT_CHECK(HandlerSpec::FromProto(once, 1).ok());
  }
}

void DecideEverything(const EffectivePolicy& policy) {
  const IpAddress dialled = *IpAddress::Parse("203.0.113.10");
  for (const char* text : {"a.com", "x.test", "203.0.113.10", "[2001:db8::1]"}) {
    const Host host = *Host::Parse(text);
    const Verdict verdict = DecideRequest(policy, RequestScheme::kHttp, host, dialled);
    if (policy.allowed_hosts.has_value() && policy.allowed_hosts->Match(host) == nullptr) {
      SALLYPORT_CHECK(std::holds_alternative<Deny>(verdict));
    }
    if (policy.denied_hosts.has_value() && policy.denied_hosts->Match(host) != nullptr) {
      SALLYPORT_CHECK(std::holds_alternative<Deny>(verdict));
      SALLYPORT_CHECK(DecideDns(policy, host) == DnsVerdict::kNxdomain);
    }
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
