#include "agent/proxy/dns/container_resolver.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/event.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Answer = absl::StatusOr<UpstreamAnswer>;
using Question = std::pair<Host, DnsType>;

// A question to the operator's resolvers, for everyone who asks it meanwhile.
struct Flight {
  explicit Flight(boost::asio::io_context& context) : landed(context) {}
  Event landed;
  std::optional<Answer> answer;
};

}  // namespace

struct ContainerResolver::State {
  State(boost::asio::io_context& io_context, Resolver* resolver,
        std::shared_ptr<ContainerDns> given)
      : context(io_context), upstream(resolver), dns(std::move(given)) {}

  boost::asio::io_context& context;
  Resolver* const upstream;
  const std::shared_ptr<ContainerDns> dns;
  absl::flat_hash_map<Question, std::shared_ptr<Flight>> under_way;
};

namespace {

absl::Status Admit(ContainerResolver::State& state, const Host& name, SteadyTime now) {
  if (state.under_way.size() >= state.dns->limits.max_upstream_under_way) {
    state.dns->on_exceeded(DnsLimit::kUpstreamUnderWay);
    return absl::ResourceExhaustedError("the container has too many DNS questions under way");
  }
  switch (state.dns->budget.AdmitUpstream(name, now)) {
    case QueryBudget::Upstream::kAdmitted:
      return absl::OkStatus();
    case QueryBudget::Upstream::kOverloaded:
      state.dns->on_exceeded(DnsLimit::kUpstream);
      return absl::ResourceExhaustedError("the container has used up its DNS questions");
    case QueryBudget::Upstream::kTunnel:
      break;
  }
  state.dns->on_exceeded(DnsLimit::kNameBytes);
  return absl::PermissionDeniedError(StrCat("too many new names below ",
                                            LikelyRegisteredName(name.text()),
                                            ", or in all: this looks like data in DNS names"));
}

Task<Answer> Follow(std::shared_ptr<Flight> flight) {
  // Ends: every question upstream has a deadline.
  const absl::Status ignored = co_await flight->landed.Wait(SteadyTime::max());
  static_cast<void>(ignored);
  co_return *flight->answer;
}

Task<Answer> Ask(std::shared_ptr<ContainerResolver::State> state, Host name, DnsType type) {
  const Question question(name, type);
  if (const auto found = state->under_way.find(question); found != state->under_way.end()) {
    Answer answer = co_await Follow(found->second);
    co_return answer;
  }
  const absl::Status admitted = Admit(*state, name, std::chrono::steady_clock::now());
  if (!admitted.ok()) co_return admitted;
  const auto flight = std::make_shared<Flight>(state->context);
  state->under_way[question] = flight;
  Answer answer = co_await state->upstream->Query(name, type);
  state->under_way.erase(question);
  const SteadyTime now = std::chrono::steady_clock::now();
  if (answer.ok()) {
    state->dns->cache.Store(name, type, *answer, now);
  } else {
    state->dns->failures.Store(name, type, answer.status(), now);
  }
  flight->answer = answer;
  flight->landed.Notify();
  co_return answer;
}

}  // namespace

ContainerResolver::ContainerResolver(boost::asio::io_context& context, Resolver* upstream,
                                     std::shared_ptr<ContainerDns> dns)
    : Resolver(context, {}), state_(std::make_shared<State>(context, upstream, std::move(dns))) {}

ContainerResolver::~ContainerResolver() = default;

Task<Answer> ContainerResolver::Query(Host name, DnsType type) {
  const SteadyTime now = std::chrono::steady_clock::now();
  std::optional<UpstreamAnswer> kept = state_->dns->cache.Find(name, type, now);
  if (kept.has_value()) return *std::move(kept);
  std::optional<absl::Status> failed = state_->dns->failures.Find(name, type, now);
  if (failed.has_value()) return *std::move(failed);
  return Ask(state_, std::move(name), type);
}

}  // namespace sallyport::proxy
