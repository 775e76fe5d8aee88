#include "common/policy/network_index.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sallyport {
namespace {

absl::uint128 NumberOf(const IpAddress& address) {
  absl::uint128 number = 0;
  for (int i = 0; i < address.byte_length(); ++i) number = number << 8 | address.bytes()[i];
  return number;
}

absl::uint128 LastOf(const Cidr& cidr) {
  const int host_bits = cidr.address().byte_length() * 8 - cidr.prefix_length();
  if (host_bits == 128) return absl::Uint128Max();
  return NumberOf(cidr.address()) | ((absl::uint128(1) << host_bits) - 1);
}

}  // namespace

NetworkIndex::NetworkIndex(const std::vector<Network>& networks) {
  std::vector<Network> v4, v6;
  for (const Network& network : networks) {
    (network.cidr.address().is_v4() ? v4 : v6).push_back(network);
  }
  v4_ = RunsOf(std::move(v4));
  v6_ = RunsOf(std::move(v6));
}

std::vector<NetworkIndex::Run> NetworkIndex::RunsOf(std::vector<Network> networks) {
  // An outer network before those that it holds.
  std::sort(networks.begin(), networks.end(), [](const Network& a, const Network& b) {
    return std::make_tuple(NumberOf(a.cidr.address()), a.cidr.prefix_length(), a.position) <
           std::make_tuple(NumberOf(b.cidr.address()), b.cidr.prefix_length(), b.position);
  });
  struct Open {
    absl::uint128 last;
    Position position;  // The lowest of this network and those around it.
  };
  std::vector<Open> open;
  std::vector<Run> runs;
  const auto begin_run = [&](absl::uint128 first, Position position) {
    if (!runs.empty() && runs.back().first == first) {
      runs.back().position = position;
    } else {
      runs.push_back({first, position});
    }
  };
  const auto close_innermost = [&] {
    const absl::uint128 last = open.back().last;
    open.pop_back();
    if (last == absl::Uint128Max()) return;
    begin_run(last + 1, open.empty() ? kNoPosition : open.back().position);
  };
  for (const Network& network : networks) {
    const absl::uint128 first = NumberOf(network.cidr.address());
    while (!open.empty() && open.back().last < first) close_innermost();
    const Position around = open.empty() ? kNoPosition : open.back().position;
    open.push_back({LastOf(network.cidr), std::min(around, network.position)});
    begin_run(first, open.back().position);
  }
  while (!open.empty()) close_innermost();
  return runs;
}

Position NetworkIndex::First(const IpAddress& address) const {
  const std::vector<Run>& runs = address.is_v4() ? v4_ : v6_;
  if (runs.empty()) return kNoPosition;
  const auto after = std::upper_bound(
      runs.begin(), runs.end(), NumberOf(address),
      [](const absl::uint128& number, const Run& run) { return number < run.first; });
  return after == runs.begin() ? kNoPosition : (after - 1)->position;
}

}  // namespace sallyport
