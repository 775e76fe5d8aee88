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

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/pattern.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// A set of patterns. Exact names and addresses are looked up in constant time. Immutable.
class PatternList {
 public:
  // The first `class_entries` entries are the class's, the rest the container's own.
  static absl::StatusOr<PatternList> FromProto(const v1::HostList& list,
                                               std::string_view field_path,
                                               size_t class_entries = SIZE_MAX);

  // The entry that matches the request host, or null.
  const Pattern* Match(const Host& host) const;
  // The entry that matches an address that the host stands for, or null.
  const Pattern* MatchAddress(const IpAddress& address) const;
  const std::vector<Pattern>& entries() const { return entries_; }
  // "class" or "instance": whose entry it is. REQUIRES: Match or MatchAddress of this list returned
  // it.
  std::string_view OwnerOf(const Pattern* entry) const;

 private:
  std::vector<Pattern> entries_;
  size_t class_entries_ = SIZE_MAX;
  absl::flat_hash_map<std::string, size_t> names_;
  absl::flat_hash_map<IpAddress, size_t> addresses_;
  std::vector<size_t> globs_;
  std::vector<size_t> networks_;
};

struct HandlerReference {
  std::string handler;
  google::protobuf::Struct params;
};

struct HandlerRule {
  Pattern pattern;
  HandlerReference reference;
};

// An ordered tier of rules by host: exact host, then exact dialled address, then the first other
// pattern. Immutable.
class RuleTier {
 public:
  static absl::StatusOr<RuleTier> FromProto(
      const google::protobuf::RepeatedPtrField<v1::HostRule>& rules, std::string_view field_path);
  // The rule for a request to `host` on a connection that the container dialled to `dialled`, or
  // null.
  const HandlerRule* Match(const Host& host, const IpAddress& dialled) const;
  // The rule whose name pattern matches, with no connection in sight (DNS, deciding to decrypt by
  // name alone).
  const HandlerRule* MatchName(const Host& host) const;
  bool empty() const { return rules_.empty(); }

 private:
  const HandlerRule* Exact(const Host& host) const;

  std::vector<HandlerRule> rules_;
  absl::flat_hash_map<std::string, size_t> names_;
  absl::flat_hash_map<IpAddress, size_t> addresses_;
  std::vector<size_t> patterns_;  // Globs and networks, in order.
};

struct DenyResponse {
  int status = 520;
  std::string content_type = "text/plain";
  std::string body = "Origin is disallowed";
};

// Low-level rule (semantics section 7, Intercept…).
struct Intercept {
  bool https = false;
  HandlerRule rule;
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
  std::vector<Intercept> intercepts;
  RuleTier instance_rules;
  RuleTier class_rules;
  std::optional<HandlerReference> instance_catch_all;
  std::optional<HandlerReference> class_catch_all;
  PatternList tls_passthrough_hosts;
  DenyResponse deny_response;
  std::vector<uint16_t> http_ports = {80, 443};

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
