#include "common/cases/play.h"

#include <google/protobuf/util/message_differencer.h>

#include "common/base/strings.h"
#include "common/cases/edit_step.h"
#include "common/cases/outcome.h"
#include "common/policy/effective_policy.h"

namespace sallyport::cases {
namespace {

using google::protobuf::util::MessageDifferencer;

std::string CodeOf(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

template <typename T>
std::string Shown(const T& value) {
  return StrCat(value);
}
std::string Shown(const std::string& value) { return value.empty() ? "none" : value; }

template <typename T>
void Compare(std::string_view what, const T& wanted, const T& got, Played* played) {
  if (wanted == got) return;
  played->differences.push_back(
      StrCat("expected ", what, " ", Shown(wanted), ", got ", Shown(got)));
}

void CompareAll(const Expect& expect, Played* played) {
  const Outcome& got = played->outcome;
  Compare("outcome", expect.outcome, got.outcome, played);
  if (expect.status != 0) Compare("status", expect.status, got.status, played);
  if (!expect.reason.empty()) Compare("reason", expect.reason, got.reason, played);
  if (!expect.handler.empty()) Compare("handler", expect.handler, got.handler, played);
  if (!expect.certificate.empty()) {
    Compare("certificate", expect.certificate, got.certificate, played);
  }
  if (!expect.code.empty()) Compare("code", expect.code, got.code, played);
  if (expect.step.has_value()) {
    Compare("step", *expect.step, got.step.value_or(-1), played);
  }
  if (expect.params.has_value() && !MessageDifferencer::Equals(*expect.params, got.params)) {
    played->differences.push_back(StrCat("expected params ", expect.params->ShortDebugString(),
                                         ", got ", got.params.ShortDebugString()));
  }
}

Played Refused(std::string outcome, const absl::Status& status, std::optional<int> step) {
  Played played;
  played.outcome.outcome = std::move(outcome);
  played.outcome.code = CodeOf(status);
  played.outcome.step = step;
  played.why = std::string(status.message());
  return played;
}

absl::Status Apply(const Case& c, const Step& step, v1::ContainerClass* container_class,
                   v1::ContainerPolicy* container) {
  if (!step.container_class.has_value()) {
    return ApplyStep(PolicyContext{*container_class, c.handlers}, step, container);
  }
  v1::ContainerClass next = *step.container_class;
  const absl::Status status = NormaliseClass(&next);
  if (status.ok()) *container_class = std::move(next);
  return status;
}

Played Run(const Case& c) {
  v1::ContainerClass container_class = c.container_class;
  container_class.set_name("conformance");
  absl::Status status = NormaliseClass(&container_class);
  if (!status.ok()) return Refused("class_rejected", status, {});
  v1::ContainerPolicy container;
  container.set_container_id("c1");
  container.set_class_name(container_class.name());
  for (size_t i = 0; i < c.steps.size(); ++i) {
    const v1::ContainerPolicy before = container;
    status = Apply(c, c.steps[i], &container_class, &container);
    if (status.ok()) continue;
    Played played = Refused("rpc_rejected", status, static_cast<int>(i));
    if (!MessageDifferencer::Equals(container, before)) {
      played.differences.push_back("the refused call has changed the container");
    }
    return played;
  }
  const auto policy = EffectivePolicy::FromProto(container_class, container, 1);
  if (!policy.ok()) return Refused("class_rejected", policy.status(), {});
  Played played;
  played.outcome = OutcomeOf(c, *policy);
  CompareAll(c.expect, &played);
  if (!played.differences.empty()) played.why = WhyDecided(c, *policy);
  return played;
}

}  // namespace

Played Play(const Case& c) {
  Played played = Run(c);
  // A refusal has no request to compare.
  const bool was_refused = !played.outcome.code.empty();
  if (was_refused) CompareAll(c.expect, &played);
  return played;
}

}  // namespace sallyport::cases
