#include "common/policy/pattern_table.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/hash/hash.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

size_t HashOf(std::string_view name) { return absl::Hash<absl::string_view>()(ToAbsl(name)); }
size_t HashOf(const IpAddress& address) { return absl::Hash<IpAddress>()(address); }

}  // namespace

PatternTable::PatternTable(std::vector<Pattern> patterns) : patterns_(std::move(patterns)) {
  std::vector<GlobIndex::Glob> globs;
  std::vector<NetworkIndex::Network> networks;
  for (Position i = 0; i < patterns_.size(); ++i) {
    const Pattern& pattern = patterns_[i];
    switch (pattern.kind()) {
      case Pattern::Kind::kExactName: {
        const size_t hash = HashOf(pattern.text());
        const auto same = [&](Position other) { return patterns_[other].text() == pattern.text(); };
        if (names_.empty() || names_.Find(hash, same) == kNoPosition) names_.Insert(hash, i);
        break;
      }
      case Pattern::Kind::kAddress:
        if (ExactAddress(pattern.network().address()) == kNoPosition) {
          addresses_.Insert(HashOf(pattern.network().address()), i);
        }
        break;
      case Pattern::Kind::kGlob:
        globs.push_back({pattern.text(), i});
        break;
      case Pattern::Kind::kNetwork:
        networks.push_back({pattern.network(), i});
        break;
    }
  }
  globs_ = GlobIndex(globs);
  networks_ = NetworkIndex(networks);
}

Position PatternTable::Exact(const Host& host) const {
  if (host.is_address()) return ExactAddress(host.address());
  if (names_.empty()) return kNoPosition;
  return names_.Find(HashOf(host.text()),
                     [&](Position i) { return patterns_[i].text() == host.text(); });
}

Position PatternTable::ExactAddress(const IpAddress& address) const {
  if (addresses_.empty()) return kNoPosition;
  return addresses_.Find(HashOf(address),
                         [&](Position i) { return patterns_[i].network().address() == address; });
}

Position PatternTable::FirstPattern(const Host& host) const {
  const Position first = host.is_address() ? FirstNetwork(host.address()) : kNoPosition;
  return globs_.First(host.text(), first, [&](Position i) { return patterns_[i].Matches(host); });
}

size_t PatternTable::MemoryBytes() const {
  size_t bytes = patterns_.capacity() * sizeof(Pattern) + names_.MemoryBytes() +
                 addresses_.MemoryBytes() + globs_.MemoryBytes() + networks_.MemoryBytes();
  for (const Pattern& pattern : patterns_) {
    const bool inside = pattern.text().capacity() <= std::string().capacity();
    bytes += inside ? 0 : pattern.text().capacity() + 1;
  }
  return bytes;
}

}  // namespace sallyport
