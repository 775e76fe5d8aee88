// Resolver::Resolve: both families of addresses of a host, in the order in which to try them.

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "agent/proxy/dns/resolver.h"
#include "agent/proxy/event.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {
namespace {

using Addresses = absl::StatusOr<std::vector<IpAddress>>;
using Answer = std::optional<absl::StatusOr<UpstreamAnswer>>;

// How long addresses of one family wait for the other's (RFC 8305 section 3, more patient: a slow
// answer costs us a family for one connection, not a user's time).
constexpr std::chrono::milliseconds kPatience{250};

// The answers to the two questions of one call.
struct Asked {
  explicit Asked(boost::asio::io_context& context) : answered(context) {}
  Event answered;
  Answer a;
  Answer aaaa;
};

Task<void> Await(Task<absl::StatusOr<UpstreamAnswer>> question, std::shared_ptr<Asked> asked,
                 Answer Asked::* place) {
  absl::StatusOr<UpstreamAnswer> answer = co_await std::move(question);
  asked.get()->*place = std::move(answer);
  asked->answered.Notify();
}

// Empty: no such name, or no address of this family.
Addresses AddressesOf(const Answer& answer) {
  if (!answer.has_value()) {
    return absl::DeadlineExceededError("no answer of the configured resolvers in time");
  }
  if (!answer->ok()) return answer->status();
  if ((*answer)->rcode() != DnsRcode::kNoError) return std::vector<IpAddress>();
  return (*answer)->Addresses().addresses;
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

// What both answers come to.
Addresses Choose(const Answer& a, const Answer& aaaa) {
  Addresses v4 = AddressesOf(a);
  Addresses v6 = AddressesOf(aaaa);
  const bool has_v4 = v4.ok() && !v4->empty();
  const bool has_v6 = v6.ok() && !v6->empty();
  if (!has_v4 && !has_v6) {
    // "No such address" must not be said while one of the two is unknown.
    RETURN_IF_ERROR(v4.status());
    RETURN_IF_ERROR(v6.status());
    return absl::NotFoundError("no such name, or no address");
  }
  if (!has_v6) return v4;
  if (!has_v4) return v6;
  const bool prefer_v6 = HasRoute(v6->front());
  return prefer_v6 ? Interleave(*std::move(v6), *std::move(v4))
                   : Interleave(*std::move(v4), *std::move(v6));
}

Task<Addresses> AwaitBoth(std::shared_ptr<Asked> asked, SteadyTime deadline) {
  std::optional<SteadyTime> patience_ends;
  while (!asked->a.has_value() || !asked->aaaa.has_value()) {
    if ((asked->a.has_value() || asked->aaaa.has_value()) && !patience_ends.has_value()) {
      const Addresses early = AddressesOf(asked->a.has_value() ? asked->a : asked->aaaa);
      if (early.ok() && !early->empty()) {
        patience_ends = std::min(deadline, std::chrono::steady_clock::now() + kPatience);
      }
    }
    asked->answered.Reset();
    const absl::Status waited = co_await asked->answered.Wait(patience_ends.value_or(deadline));
    if (!waited.ok()) break;
  }
  co_return Choose(asked->a, asked->aaaa);
}

}  // namespace

Task<Addresses> Resolver::Resolve(Host host) {
  if (host.is_address()) return std::vector<IpAddress>{host.address()};
  if (IsLocalhostName(host)) {
    std::array<uint8_t, 16> v6 = {};
    v6[15] = 1;
    return std::vector<IpAddress>{IpAddress::FromV4(0x7f000001), IpAddress::FromV6Bytes(v6)};
  }
  Task<absl::StatusOr<UpstreamAnswer>> a = Query(host, DnsType::kA);
  Task<absl::StatusOr<UpstreamAnswer>> aaaa = Query(host, DnsType::kAaaa);
  if (a.is_over() && aaaa.is_over()) return Choose(std::move(a).Take(), std::move(aaaa).Take());
  auto asked = std::make_shared<Asked>(context_);
  Spawn(context_, Await(std::move(a), asked, &Asked::a));
  Spawn(context_, Await(std::move(aaaa), asked, &Asked::aaaa));
  return AwaitBoth(std::move(asked), std::chrono::steady_clock::now() + options_.budget);
}

}  // namespace sallyport::proxy
