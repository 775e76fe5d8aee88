// A sequence of patterns, indexed: what to look at does not grow with their number.

#ifndef SALLYPORT_COMMON_POLICY_PATTERN_TABLE_H_
#define SALLYPORT_COMMON_POLICY_PATTERN_TABLE_H_

#include <vector>

#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/glob_index.h"
#include "common/policy/hash_index.h"
#include "common/policy/network_index.h"
#include "common/policy/pattern.h"

namespace sallyport {

// Answers with positions in the sequence; kNoPosition: none. Immutable, a value.
class PatternTable {
 public:
  PatternTable() = default;
  explicit PatternTable(std::vector<Pattern> patterns);

  // The exact name, or the address, that the host is.
  Position Exact(const Host& host) const;
  Position ExactAddress(const IpAddress& address) const;
  // The first glob or network that matches the host.
  Position FirstPattern(const Host& host) const;
  Position FirstNetwork(const IpAddress& address) const { return networks_.First(address); }

  const Pattern& operator[](Position position) const { return patterns_[position]; }
  const std::vector<Pattern>& patterns() const { return patterns_; }
  bool empty() const { return patterns_.empty(); }
  // What it takes on the heap.
  size_t MemoryBytes() const;

 private:
  std::vector<Pattern> patterns_;
  HashIndex names_;
  HashIndex addresses_;
  GlobIndex globs_;
  NetworkIndex networks_;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_PATTERN_TABLE_H_
