// A hash table from keys to positions, where the keys are kept elsewhere: 8 bytes a slot.

#ifndef SALLYPORT_COMMON_POLICY_HASH_INDEX_H_
#define SALLYPORT_COMMON_POLICY_HASH_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sallyport {

// A position in a sequence, or none.
using Position = uint32_t;
inline constexpr Position kNoPosition = UINT32_MAX;

// Open addressing with linear probing. A value.
class HashIndex {
 public:
  // REQUIRES: no position with an equal key is in it.
  void Insert(size_t hash, Position position) {
    // At most two slots in three are taken: probes stay short, and a search ends.
    if (3 * (size_ + 1) > 2 * slots_.size()) Grow();
    Place({Fold(hash), position});
    ++size_;
  }

  // The position whose key `has_key` says yes to, or kNoPosition.
  template <typename HasKey>
  Position Find(size_t hash, HasKey has_key) const {
    const uint32_t folded = Fold(hash);
    for (size_t i = folded & mask(); slots_[i].position != kNoPosition; i = (i + 1) & mask()) {
      if (slots_[i].hash == folded && has_key(slots_[i].position)) return slots_[i].position;
    }
    return kNoPosition;
  }

  bool empty() const { return size_ == 0; }  // Find REQUIRES that it is not.
  size_t MemoryBytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    uint32_t hash = 0;
    Position position = kNoPosition;
  };

  static uint32_t Fold(size_t hash) { return static_cast<uint32_t>(hash ^ (hash >> 32)); }
  size_t mask() const { return slots_.size() - 1; }
  void Place(const Slot& slot) {
    size_t i = slot.hash & mask();
    while (slots_[i].position != kNoPosition) i = (i + 1) & mask();
    slots_[i] = slot;
  }
  void Grow() {
    std::vector<Slot> old(slots_.empty() ? 4 : 2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.position != kNoPosition) Place(slot);
    }
  }

  std::vector<Slot> slots_;  // As many as a power of two.
  size_t size_ = 0;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HASH_INDEX_H_
