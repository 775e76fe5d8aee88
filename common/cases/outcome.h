// What a container sees of one request, by the decision alone.

#ifndef SALLYPORT_COMMON_CASES_OUTCOME_H_
#define SALLYPORT_COMMON_CASES_OUTCOME_H_

#include "common/cases/play.h"
#include "common/policy/effective_policy.h"

namespace sallyport::cases {

Outcome OutcomeOf(const Case& c, const EffectivePolicy& policy);

// "step 4 (class outbound_by_host) decided: class outbound_by_host a.com".
std::string WhyDecided(const Case& c, const EffectivePolicy& policy);

}  // namespace sallyport::cases

#endif  // SALLYPORT_COMMON_CASES_OUTCOME_H_
