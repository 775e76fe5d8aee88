// Which of many networks contain an address, without trying each.

#ifndef SALLYPORT_COMMON_POLICY_NETWORK_INDEX_H_
#define SALLYPORT_COMMON_POLICY_NETWORK_INDEX_H_

#include <vector>

#include "absl/numeric/int128.h"
#include "common/net/address.h"
#include "common/policy/hash_index.h"

namespace sallyport {

// Two networks are apart or one holds the other, so the addresses fall into runs, each with one
// lowest position; at most two runs a network. A value.
class NetworkIndex {
 public:
  struct Network {
    Cidr cidr;
    Position position;
  };
  NetworkIndex() = default;
  explicit NetworkIndex(const std::vector<Network>& networks);

  // The lowest position whose network contains the address, or kNoPosition.
  Position First(const IpAddress& address) const;

  size_t MemoryBytes() const { return (v4_.capacity() + v6_.capacity()) * sizeof(Run); }

 private:
  // From `first` to the next run's first.
  struct Run {
    absl::uint128 first;
    Position position;
  };
  static std::vector<Run> RunsOf(std::vector<Network> networks);

  // Ascending. Apart, because IPv6 networks contain no IPv4 address.
  std::vector<Run> v4_;
  std::vector<Run> v6_;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_NETWORK_INDEX_H_
