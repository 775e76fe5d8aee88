// Why a request is decided as it is: all steps of the decision, not only the one that decides.

#ifndef SALLYPORT_COMMON_POLICY_EXPLAIN_H_
#define SALLYPORT_COMMON_POLICY_EXPLAIN_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/policy/decide.h"

namespace sallyport {

struct ExplainQuery {
  enum class Scheme { kHttp, kHttps, kTcp };
  Scheme scheme = Scheme::kHttp;
  // Of a name on a port that is not sniffed: the name that the agent's DNS gave `dialled` for.
  Host host;
  uint16_t port = 80;
  // Unset: the host if it is an address, else 0.0.0.0.
  std::optional<IpAddress> dialled;
  // What the agent would resolve the host to. Empty: the host if it is an address, else the
  // addresses are not checked.
  std::vector<IpAddress> resolved;
};

struct ExplainedStep {
  int number = 0;  // As Step::number; 10: the addresses about to be dialled.
  std::string_view name;
  StepResult result;
  bool decides = false;
};

// Points into the policy.
struct Explanation {
  // "egress", "handler", "relay", "deny", or "reject" for bytes that no sniffed port accepts.
  std::string_view decision;
  std::string_view reason;  // Of "deny" and "reject".
  Rule rule;
  const HandlerReference* handler = nullptr;  // Of "handler".
  bool decrypted = false;
  std::optional<Reason> would_deny;  // In monitor mode.
  std::vector<ExplainedStep> steps;
};

// Runs the step functions that decide.h runs. What the operator opens on the agent's host
// (`open_ranges`) counts for the addresses.
Explanation ExplainRequest(const EffectivePolicy& policy, const ExplainQuery& query,
                           const OpenRanges& open_ranges);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_EXPLAIN_H_
