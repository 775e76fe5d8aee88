#include "common/policy/glob_index.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"

namespace sallyport {

// What the glob may be filed under. None: it is `*`.
std::vector<GlobIndex::Gram> GlobIndex::GramsOf(std::string_view glob) {
  std::string anchored = std::string(1, kBegin).append(glob);
  anchored.push_back(kEnd);
  std::vector<Gram> grams;
  std::string longest;
  for (const absl::string_view piece : absl::StrSplit(anchored, '*')) {
    std::string padded(piece);
    padded.append(kGramBytes, '\0');
    for (size_t at = 0; at + kGramBytes <= piece.size(); ++at) {
      grams.push_back(GramAt(padded.data() + at, kGramBytes));
    }
    // The ends alone say nothing: every host has them.
    const bool is_end = piece.size() == 1 && (piece[0] == kBegin || piece[0] == kEnd);
    if (!is_end && piece.size() > longest.size()) longest = std::string(piece);
  }
  if (grams.empty() && !longest.empty()) {
    const size_t length = longest.size();
    longest.append(kGramBytes, '\0');
    grams.push_back(GramAt(longest.data(), length));
  }
  return grams;
}

GlobIndex::GlobIndex(const std::vector<Glob>& globs) {
  absl::flat_hash_map<Gram, size_t> globs_with;
  std::vector<std::vector<Gram>> grams_of;
  grams_of.reserve(globs.size());
  for (const Glob& glob : globs) {
    grams_of.push_back(GramsOf(glob.text));
    std::vector<Gram>& grams = grams_of.back();
    std::sort(grams.begin(), grams.end());
    grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
    for (const Gram gram : grams) ++globs_with[gram];
  }
  filed_.reserve(globs.size());
  for (size_t i = 0; i < globs.size(); ++i) {
    if (grams_of[i].empty()) {
      everything_ = std::min(everything_, globs[i].position);
      continue;
    }
    const Gram rarest =
        *std::min_element(grams_of[i].begin(), grams_of[i].end(),
                          [&](Gram a, Gram b) { return globs_with[a] < globs_with[b]; });
    filed_.push_back({rarest, globs[i].position});
    size_t length = kGramBytes;
    while (length > 1 && (rarest >> (8 * (length - 1))) == 0) --length;
    has_length_[length] = true;
  }
  if (filed_.size() <= kFew) return;  // By position, as given.
  std::sort(filed_.begin(), filed_.end());
  BuildSlots();
}

void GlobIndex::BuildSlots() {
  size_t grams = 0;
  for (size_t i = 0; i < filed_.size(); ++i) {
    if (i == 0 || filed_[i].gram != filed_[i - 1].gram) ++grams;
  }
  size_t size = 2;
  shift_ = 31;
  while (size < 2 * grams) {
    size *= 2;
    --shift_;
  }
  slots_.assign(size, Slot());
  for (size_t i = 0; i < filed_.size(); ++i) {
    if (i > 0 && filed_[i].gram == filed_[i - 1].gram) continue;
    size_t slot = SlotOf(filed_[i].gram);
    while (slots_[slot].gram != 0) slot = (slot + 1) & (size - 1);
    slots_[slot] = {filed_[i].gram, static_cast<uint32_t>(i)};
  }
}

size_t GlobIndex::MemoryBytes() const {
  return filed_.capacity() * sizeof(Filed) + slots_.capacity() * sizeof(Slot);
}

}  // namespace sallyport
