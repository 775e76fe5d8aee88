#include "agent/proxy/dns/resolver.h"

#include <algorithm>
#include <utility>

#include "agent/proxy/dns/server_health.h"
#include "agent/proxy/dns/upstream_exchange.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

using std::chrono::steady_clock;

constexpr int kRounds = 2;
// Attempts of the second round may take twice as long as those of the first.
constexpr int kAttemptsPerServer = 1 + 2;
constexpr std::chrono::milliseconds kLeastAttempt{100};

// What the questions under way share with the resolver.
struct State {
  State(boost::asio::io_context& io_context, std::vector<DnsServerAddress> given)
      : context(io_context), servers(std::move(given)), health(servers.size()) {}

  boost::asio::io_context& context;
  const std::vector<DnsServerAddress> servers;
  ServerHealth health;
  const std::shared_ptr<ExchangeSockets> sockets = std::make_shared<ExchangeSockets>();
};
using StatePtr = std::shared_ptr<State>;

void Note(State& state, size_t server, const absl::Status& outcome) {
  const SteadyTime now = steady_clock::now();
  if (absl::IsDeadlineExceeded(outcome)) {
    state.health.Silent(server, now);
  } else if (absl::IsUnavailable(outcome)) {
    state.health.Unreachable(server, now);
  } else {
    state.health.Answered(server);
  }
}

Task<absl::StatusOr<UpstreamAnswer>> AskInTurn(StatePtr state, Host name, DnsType type,
                                               std::chrono::milliseconds budget) {
  const SteadyTime deadline = steady_clock::now() + budget;
  const auto attempts = static_cast<int>(state->servers.size()) * kAttemptsPerServer;
  const std::chrono::milliseconds attempt = std::max(budget / attempts, kLeastAttempt);
  std::vector<DnsExchange::Edns> edns(state->servers.size(), DnsExchange::Edns::kOffered);
  std::vector<bool> refuses(state->servers.size());
  absl::Status failure = absl::DeadlineExceededError("no answer of the configured resolvers");
  for (int round = 1; round <= kRounds; ++round) {
    const std::vector<size_t> order = state->health.Order(steady_clock::now());
    for (const size_t i : order) {
      if (refuses[i]) continue;
      const SteadyTime now = steady_clock::now();
      if (now >= deadline) co_return failure;
      DnsExchange exchange{.server = state->servers[i],
                           .name = name,
                           .type = type,
                           .edns = edns[i],
                           .deadline = std::min(deadline, now + attempt * round)};
      absl::StatusOr<UpstreamAnswer> answer =
          co_await ExchangeDns(&state->context, state->sockets, std::move(exchange));
      if (state->sockets->closed()) co_return absl::UnavailableError("the resolver is stopped");
      Note(*state, i, answer.status());
      if (answer.ok()) co_return answer;
      failure = answer.status();
      if (absl::IsInvalidArgument(failure)) edns[i] = DnsExchange::Edns::kNone;
      refuses[i] = absl::IsFailedPrecondition(failure) || absl::IsDataLoss(failure);
    }
  }
  if (absl::IsDeadlineExceeded(failure)) co_return failure;
  co_return absl::UnavailableError(failure.message());
}

Task<absl::StatusOr<UpstreamAnswer>> NoServers() {
  co_return absl::UnavailableError("no resolver is configured on this host");
}

class StubResolver final : public Resolver {
 public:
  StubResolver(boost::asio::io_context& context, std::vector<DnsServerAddress> servers,
               ResolverOptions options)
      : Resolver(context, options), state_(std::make_shared<State>(context, std::move(servers))) {}

  ~StubResolver() override { state_->sockets->CloseAll(); }

  Task<absl::StatusOr<UpstreamAnswer>> Query(Host name, DnsType type) override {
    if (state_->servers.empty()) return NoServers();
    return AskInTurn(state_, std::move(name), type, options_.budget);
  }

 private:
  const StatePtr state_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Resolver>> Resolver::Create(boost::asio::io_context& context,
                                                           const std::vector<std::string>& servers,
                                                           ResolverOptions options) {
  std::vector<DnsServerAddress> addresses;
  for (const std::string& server : servers) {
    ASSIGN_OR_RETURN(const DnsServerAddress address, DnsServerAddress::Parse(server));
    addresses.push_back(address);
  }
  return std::make_unique<StubResolver>(context, std::move(addresses), options);
}

bool IsLocalhostName(const Host& host) {
  return !host.is_address() && (host.text() == "localhost" || host.text().ends_with(".localhost"));
}

}  // namespace sallyport::proxy
