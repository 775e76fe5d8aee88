// The steps of the decision (semantics.md section 3), each a pure function that looks at one thing
// and knows nothing of the others. decide.h runs them until one decides, explain.h runs them all.

#ifndef SALLYPORT_COMMON_POLICY_STEPS_H_
#define SALLYPORT_COMMON_POLICY_STEPS_H_

#include <span>
#include <string_view>

#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/effective_policy.h"
#include "common/policy/rule.h"

namespace sallyport {

enum class Reason { kDeniedHost, kNotAllowed, kNoInternet, kForbiddenAddress, kNoPolicy };
// "denied_host", "not_allowed", "no_internet", "forbidden_address", "no_policy".
std::string_view ReasonName(Reason reason);

// What is asked about. Handlers can run only where requests can be read: kHttp, kHttps.
enum class Traffic {
  kHttp,
  kHttps,    // A request inside decrypted TLS.
  kTlsName,  // A TLS connection that is not decrypted.
  kTcp,      // A connection to a port that is not sniffed.
};

// References what it is made of. Made once for all steps.
struct Question {
  Question(const EffectivePolicy& policy, Traffic traffic, const Host& host,
           const IpAddress* dialled, const Host* dns_name = nullptr);

  const EffectivePolicy& policy;
  const Traffic traffic;
  const Host& host;                // kTcp: the address dialled.
  const IpAddress* const dialled;  // Null: no connection in sight.
  const Host* const dns_name;      // kTcp: the name that our DNS gave the address for, or null.
  // The entry of `allowed_hosts` that matches, or null. Two steps ask.
  const Pattern* const allowed;
};

struct StepResult {
  enum class Outcome { kPasses, kDenies, kHandler, kEgress };
  Outcome outcome = Outcome::kPasses;
  Rule rule = {};                             // What matches; empty: nothing.
  Reason reason = Reason::kNoPolicy;          // Of kDenies.
  const HandlerReference* handler = nullptr;  // Of kHandler.
};

struct Step {
  int number;             // As in docs/policy.md; the low-level rules are 0.
  std::string_view name;  // "denied_hosts", "instance outbound_by_host", …
  bool is_for_handlers;
  StepResult (*run)(const Question& question);
};

// In the order in which they are run: 1, 2, 0, 3 to 9. Step 9 always decides.
std::span<const Step> DecisionSteps();

inline bool IsAsked(const Step& step, Traffic traffic) {
  return !step.is_for_handlers || traffic == Traffic::kHttp || traffic == Traffic::kHttps;
}

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_STEPS_H_
