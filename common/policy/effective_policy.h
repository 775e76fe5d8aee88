// What holds for one container: its class and its own rules put together, validated and indexed for
// decisions.

#ifndef SALLYPORT_COMMON_POLICY_EFFECTIVE_POLICY_H_
#define SALLYPORT_COMMON_POLICY_EFFECTIVE_POLICY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/pattern_table.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// A set of patterns. Immutable.
class PatternList {
 public:
  // The first `class_entries` entries are the class's, the rest the container's own.
  static absl::StatusOr<PatternList> FromProto(const v1::HostList& list,
                                               std::string_view field_path,
                                               size_t class_entries = SIZE_MAX);

  // The entry that matches the request host, an exact one before the first pattern, or null.
  const Pattern* Match(const Host& host) const;
  // The entry that matches an address that the host stands for, or null.
  const Pattern* MatchAddress(const IpAddress& address) const;
  const std::vector<Pattern>& entries() const { return table_.patterns(); }
  // "class" or "instance": whose entry it is. REQUIRES: Match or MatchAddress of this list returned
  // it.
  std::string_view OwnerOf(const Pattern* entry) const;
  size_t MemoryBytes() const { return table_.MemoryBytes(); }

 private:
  const Pattern* At(Position position) const;

  PatternTable table_;
  size_t class_entries_ = SIZE_MAX;
};

struct HandlerReference {
  explicit HandlerReference(const v1::HandlerReference& reference);

  std::string handler;
  google::protobuf::Struct params;
  // `params` serialised, the same for equal ones.
  std::string params_bytes;
};

// What a tier says about a host: both null, or both living as long as the tier.
struct HandlerRule {
  const Pattern* pattern = nullptr;
  const HandlerReference* reference = nullptr;
  explicit operator bool() const { return reference != nullptr; }
};

// An ordered tier of rules by host. Immutable.
class RuleTier {
 public:
  static absl::StatusOr<RuleTier> FromProto(
      const google::protobuf::RepeatedPtrField<v1::HostRule>& rules, std::string_view field_path);
  // The low-level rules for one scheme.
  static absl::StatusOr<RuleTier> FromIntercepts(
      const google::protobuf::RepeatedPtrField<v1::InterceptRule>& rules,
      v1::InterceptRule::Scheme scheme);

  // The rule for a request to `host` on a connection that the container dialled to `dialled`: exact
  // host, then exact dialled address, then the first other pattern. `dialled` is null where no
  // connection is in sight (DNS).
  HandlerRule Match(const Host& host, const IpAddress* dialled) const;
  // The first rule that matches, exact or not.
  HandlerRule FirstMatch(const Host& host, const IpAddress* dialled) const;
  size_t MemoryBytes() const;

 private:
  class Builder;
  HandlerRule At(Position position) const;
  Position FirstPattern(const Host& host, const IpAddress* dialled) const;

  PatternTable table_;
  // Rules share what they have in common: most have the handler of their neighbours.
  std::vector<uint32_t> reference_of_;
  std::vector<HandlerReference> references_;
};

struct DenyResponse {
  int status = 520;
  std::string content_type = "text/plain";
  std::string body = "Origin is disallowed";
};

// Immutable; shared between threads as shared_ptr<const EffectivePolicy>.
struct EffectivePolicy {
  std::string container_id;
  std::string class_name;
  // The greater of the class's and the container's revisions.
  uint64_t revision = 0;
  bool enable_internet = true;
  bool intercept_https = false;
  std::optional<PatternList> allowed_hosts;
  std::optional<PatternList> denied_hosts;
  // The low level: looked at before the tiers (semantics.md section 7, Intercept…).
  RuleTier http_intercepts;
  RuleTier https_intercepts;
  RuleTier instance_rules;
  RuleTier class_rules;
  std::optional<HandlerReference> instance_catch_all;
  std::optional<HandlerReference> class_catch_all;
  PatternList tls_passthrough_hosts;
  DenyResponse deny_response;
  std::vector<uint16_t> http_ports = {80, 443};
  // What the lists and `enable_internet` refuse passes, and is said to be a would-be denial.
  bool monitor = false;

  // The only validation of policy values. INVALID_ARGUMENT names the field by path, as
  // `denied_hosts[2]`.
  static absl::StatusOr<EffectivePolicy> FromProto(const v1::ContainerClass& container_class,
                                                   const v1::ContainerPolicy& container,
                                                   uint64_t revision);
};

// Validates and normalises in place (patterns to canonical text, duplicates dropped).
// INVALID_ARGUMENT as above. Used by the control plane when it admits a class, a container's rules,
// a handler.
absl::Status NormaliseClass(v1::ContainerClass* container_class);
absl::Status NormaliseContainer(v1::ContainerPolicy* container);
absl::Status NormaliseHandler(v1::Handler* handler);
absl::Status ValidateContainerId(std::string_view id);
absl::Status ValidateName(std::string_view field_path, std::string_view name);

// The list after the class's and the container's parts are put together: the class's entries that
// the container did not remove, then its own. nullopt: no list anywhere. A container that has edits
// has a list, also while its class has none: what was once restricted does not open up when the
// class changes. Both arguments may be null. REQUIRES: both are normalised.
std::optional<v1::HostList> EffectiveList(const v1::HostList* of_class,
                                          const v1::HostListOverride* of_container);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_EFFECTIVE_POLICY_H_
