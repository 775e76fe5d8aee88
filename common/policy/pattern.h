// Host patterns: what users write in lists and rules. See proto/sallyport/v1/policy.proto for the
// language.

#ifndef SALLYPORT_COMMON_POLICY_PATTERN_H_
#define SALLYPORT_COMMON_POLICY_PATTERN_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/net/address.h"
#include "common/net/host.h"

namespace sallyport {

// One validated, normalised pattern. Immutable value.
class Pattern {
 public:
  enum class Kind { kExactName, kGlob, kAddress, kNetwork };

  // INVALID_ARGUMENT with a sentence that says what is wrong and what to write instead.
  static absl::StatusOr<Pattern> Parse(std::string_view text);

  Kind kind() const { return kind_; }
  // Canonical text; two patterns of equal text match the same hosts.
  const std::string& text() const { return text_; }
  // Matches the request host itself: by name, or by literal address. O(host length × pattern
  // length) at most.
  bool Matches(const Host& host) const;
  // Matches an address that the host stands for (dialled or resolved): kAddress and kNetwork only.
  bool MatchesAddress(const IpAddress& address) const;
  // REQUIRES: kAddress or kNetwork.
  const Cidr& network() const { return cidr_; }

 private:
  static Pattern OfNetwork(const Cidr& cidr);

  Kind kind_ = Kind::kExactName;
  std::string text_;
  Cidr cidr_;  // kAddress, kNetwork.
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_PATTERN_H_
