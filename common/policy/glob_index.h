// Which of many globs match a host, without trying each.

#ifndef SALLYPORT_COMMON_POLICY_GLOB_INDEX_H_
#define SALLYPORT_COMMON_POLICY_GLOB_INDEX_H_

#include <compare>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "common/policy/hash_index.h"

namespace sallyport {

// A glob matches only hosts that hold each of its literal pieces. So each glob is filed under four
// bytes of one of its pieces (the ends of the host count as bytes), those that the fewest other
// globs have; a piece shorter than that is filed whole. A host is looked up by each four of its
// bytes, and only the globs found there are tried. A value.
class GlobIndex {
 public:
  struct Glob {
    std::string_view text;
    Position position;
  };
  GlobIndex() = default;
  explicit GlobIndex(const std::vector<Glob>& globs);

  // The lowest position below `best` whose glob matches, or `best`. `matches`: whether the glob at
  // a position matches the host.
  template <typename Matches>
  Position First(std::string_view host, Position best, Matches matches) const;

  bool empty() const { return filed_.empty() && everything_ == kNoPosition; }
  size_t MemoryBytes() const;

 private:
  // Up to four bytes, the first the lowest (on the little-endian machines that we build for).
  using Gram = uint32_t;
  static constexpr size_t kGramBytes = 4;
  // No host and no glob has these; they stand for the host's ends.
  static constexpr char kBegin = 1;
  static constexpr char kEnd = 2;
  static constexpr size_t kMaxHost = 253;

  struct Filed {
    Gram gram;
    Position position;
    auto operator<=>(const Filed&) const = default;
  };
  struct Slot {
    Gram gram = 0;
    uint32_t begin = 0;  // In filed_.
  };

  // REQUIRES: kGramBytes may be read.
  static Gram GramAt(const char* bytes, size_t length) {
    Gram gram;
    std::memcpy(&gram, bytes, kGramBytes);
    return length == kGramBytes ? gram : gram & ((Gram{1} << (8 * length)) - 1);
  }
  static std::vector<Gram> GramsOf(std::string_view glob);
  size_t SlotOf(Gram gram) const { return (gram * 0x9E3779B1u) >> shift_; }
  void BuildSlots();

  // So few are tried in turn: that costs less than to look up each piece of the host.
  static constexpr size_t kFew = 12;

  std::vector<Filed> filed_;  // By gram, then position; where they are few, by position.
  std::vector<Slot> slots_;   // Open addressing; as many as a power of two, half of them free.
  int shift_ = 31;            // 32 - log2(number of slots).
  bool has_length_[kGramBytes + 1] = {};
  Position everything_ = kNoPosition;  // `*`, which has no literal.
};

template <typename Matches>
Position GlobIndex::First(std::string_view host, Position best, Matches matches) const {
  if (everything_ < best) best = everything_;
  if (filed_.size() <= kFew) {
    for (const Filed& filed : filed_) {
      if (filed.position >= best) break;
      if (matches(filed.position)) return filed.position;
    }
    return best;
  }
  if (host.size() > kMaxHost) return best;
  char bytes[kMaxHost + 2 + kGramBytes] = {kBegin};
  host.copy(bytes + 1, host.size());
  const size_t end = host.size() + 2;
  bytes[end - 1] = kEnd;
  for (size_t length = 1; length <= kGramBytes; ++length) {
    if (!has_length_[length]) continue;
    for (size_t at = 0; at + length <= end; ++at) {
      const Gram gram = GramAt(bytes + at, length);
      size_t slot = SlotOf(gram);
      while (slots_[slot].gram != gram && slots_[slot].gram != 0) {
        slot = (slot + 1) & (slots_.size() - 1);
      }
      if (slots_[slot].gram == 0) continue;
      for (size_t i = slots_[slot].begin; i < filed_.size() && filed_[i].gram == gram; ++i) {
        if (filed_[i].position >= best) break;
        if (matches(filed_[i].position)) {
          best = filed_[i].position;
          break;
        }
      }
    }
  }
  return best;
}

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_GLOB_INDEX_H_
