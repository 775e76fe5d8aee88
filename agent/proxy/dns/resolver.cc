#include "agent/proxy/dns/resolver.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "agent/proxy/dns/ares_channel.h"
#include "agent/proxy/dns/message.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "agent/proxy/event.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {
namespace {

// How long addresses of one family wait for the other's (RFC 8305 section 3, more patient: a slow
// answer costs us a family for one connection, not a user's time).
constexpr std::chrono::milliseconds kPatience{250};

// The answers to the questions of one call.
struct Asked {
  explicit Asked(boost::asio::io_context& context) : answered(context) {}
  Event answered;
  std::optional<absl::StatusOr<std::string>> a;
  std::optional<absl::StatusOr<std::string>> b;
};

void Ask(AresChannel& channel, const std::shared_ptr<Asked>& asked, const std::string& name,
         int type, std::optional<absl::StatusOr<std::string>> Asked::* place) {
  channel.Query(name, type, [asked, place](absl::StatusOr<std::string> answer) {
    asked.get()->*place = std::move(answer);
    asked->answered.Notify();
  });
}

absl::Status TooLate() {
  return absl::DeadlineExceededError("no answer of the configured resolvers in time");
}

// Empty: no such name, or no address of this family.
absl::StatusOr<std::vector<IpAddress>> AddressesOf(
    const std::optional<absl::StatusOr<std::string>>& bytes, const Host& host, DnsType type) {
  if (!bytes.has_value()) return TooLate();
  if (!bytes->ok()) return bytes->status();
  ASSIGN_OR_RETURN(const UpstreamAnswer answer,
                   UpstreamAnswer::Parse(**bytes, EncodeDnsName(host.text()), type));
  if (answer.rcode() != DnsRcode::kNoError) return std::vector<IpAddress>();
  return answer.Addresses().addresses;
}

// Whether packets to the address could leave this host at all; sends none.
bool HasRoute(const IpAddress& address) {
  sockaddr_storage storage;
  const socklen_t length = address.ToSockaddr(53, &storage);
  const UniqueFd probe(::socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return probe.valid() &&
         ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

std::vector<IpAddress> Interleave(std::vector<IpAddress> first, std::vector<IpAddress> second) {
  std::vector<IpAddress> all;
  for (size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  return all;
}

using Addresses = absl::StatusOr<std::vector<IpAddress>>;

Task<Addresses> ResolveBoth(boost::asio::io_context& context, std::shared_ptr<AresChannel> channel,
                            Host host, SteadyTime deadline) {
  auto asked = std::make_shared<Asked>(context);
  Ask(*channel, asked, host.text(), static_cast<int>(DnsType::kA), &Asked::a);
  Ask(*channel, asked, host.text(), static_cast<int>(DnsType::kAaaa), &Asked::b);
  std::optional<SteadyTime> patience_ends;
  while (!asked->a.has_value() || !asked->b.has_value()) {
    if ((asked->a.has_value() || asked->b.has_value()) && !patience_ends.has_value()) {
      const DnsType type = asked->a.has_value() ? DnsType::kA : DnsType::kAaaa;
      const Addresses early = AddressesOf(asked->a.has_value() ? asked->a : asked->b, host, type);
      if (early.ok() && !early->empty()) {
        patience_ends = std::min(deadline, std::chrono::steady_clock::now() + kPatience);
      }
    }
    asked->answered.Reset();
    const absl::Status waited = co_await asked->answered.Wait(patience_ends.value_or(deadline));
    if (!waited.ok()) break;
  }
  Addresses v4 = AddressesOf(asked->a, host, DnsType::kA);
  Addresses v6 = AddressesOf(asked->b, host, DnsType::kAaaa);
  const bool has_v4 = v4.ok() && !v4->empty();
  const bool has_v6 = v6.ok() && !v6->empty();
  if (!has_v4 && !has_v6) {
    // "No such address" must not be said while one of the two is unknown.
    CO_RETURN_IF_ERROR(v4.status());
    CO_RETURN_IF_ERROR(v6.status());
    co_return absl::NotFoundError("no such name, or no address");
  }
  if (!has_v6) co_return v4;
  if (!has_v4) co_return v6;
  const bool prefer_v6 = HasRoute(v6->front());
  co_return prefer_v6 ? Interleave(*std::move(v6), *std::move(v4))
                      : Interleave(*std::move(v4), *std::move(v6));
}

Task<absl::StatusOr<std::string>> QueryOne(boost::asio::io_context& context,
                                           std::shared_ptr<AresChannel> channel, std::string name,
                                           int type, SteadyTime deadline) {
  auto asked = std::make_shared<Asked>(context);
  Ask(*channel, asked, name, type, &Asked::a);
  if (!asked->a.has_value()) {
    const absl::Status waited = co_await asked->answered.Wait(deadline);
    if (!waited.ok() && !asked->a.has_value()) co_return TooLate();
  }
  co_return *std::move(asked->a);
}

template <typename T>
Task<T> Ready(T value) {
  co_return value;
}

class AresResolver final : public Resolver {
 public:
  // `channel`: null: there are no servers.
  AresResolver(boost::asio::io_context& context, std::shared_ptr<AresChannel> channel,
               ResolverOptions options)
      : context_(context), channel_(std::move(channel)), options_(options) {}

  ~AresResolver() override {
    if (channel_ != nullptr) channel_->Close();
  }

  Task<Addresses> Resolve(Host host) override {
    if (host.is_address()) return Ready<Addresses>(std::vector<IpAddress>{host.address()});
    if (IsLocalhostName(host)) {
      std::array<uint8_t, 16> v6 = {};
      v6[15] = 1;
      return Ready<Addresses>(
          std::vector<IpAddress>{IpAddress::FromV4(0x7f000001), IpAddress::FromV6Bytes(v6)});
    }
    if (channel_ == nullptr) return Ready<Addresses>(NoServers());
    return ResolveBoth(context_, channel_, std::move(host), Deadline());
  }

  Task<absl::StatusOr<std::string>> Query(std::string name, int type) override {
    if (channel_ == nullptr) return Ready<absl::StatusOr<std::string>>(NoServers());
    return QueryOne(context_, channel_, std::move(name), type, Deadline());
  }

 private:
  static absl::Status NoServers() {
    return absl::UnavailableError("no resolver is configured on this host");
  }
  SteadyTime Deadline() const { return std::chrono::steady_clock::now() + options_.budget; }

  boost::asio::io_context& context_;
  const std::shared_ptr<AresChannel> channel_;
  const ResolverOptions options_;
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
  std::shared_ptr<AresChannel> channel;
  if (!addresses.empty()) {
    ASSIGN_OR_RETURN(channel, AresChannel::Create(context, addresses, options.budget));
  }
  return std::make_unique<AresResolver>(context, std::move(channel), options);
}

bool IsLocalhostName(const Host& host) {
  return !host.is_address() && (host.text() == "localhost" || host.text().ends_with(".localhost"));
}

}  // namespace sallyport::proxy
