#include "agent/proxy/http/characters.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace sallyport::proxy {
namespace {

enum : uint8_t { kToken = 1, kTarget = 2, kFieldText = 4 };

constexpr std::array<uint8_t, 256> MakeClasses() {
  std::array<uint8_t, 256> classes = {};
  for (int c = 0x21; c < 0x7f; ++c) classes[c] |= kToken | kTarget;
  for (const char c : std::string_view("\"(),/:;<=>?@[\\]{}"))
    classes[static_cast<uint8_t>(c)] &= ~kToken;
  classes['#'] &= ~kTarget;
  for (int c = 0x20; c < 0x100; ++c) classes[c] |= kFieldText;
  classes['\t'] |= kFieldText;
  classes[0x7f] &= ~kFieldText;
  return classes;
}

constexpr std::array<uint8_t, 256> kClasses = MakeClasses();

size_t LengthOf(uint8_t wanted, std::string_view text) {
  size_t i = 0;
  while (i < text.size() && (kClasses[static_cast<uint8_t>(text[i])] & wanted) != 0) ++i;
  return i;
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

bool IsTokenCharacter(char c) { return (kClasses[static_cast<uint8_t>(c)] & kToken) != 0; }

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

size_t TokenLength(std::string_view text) { return LengthOf(kToken, text); }

size_t TargetLength(std::string_view text) { return LengthOf(kTarget, text); }

size_t FieldTextLength(std::string_view text) {
  // Eight bytes at a time while none of them is below 0x20 or is 0x7f. A borrow can only raise a
  // false alarm, which the table settles.
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHigh = 0x8080808080808080;
  size_t i = 0;
  while (true) {
    while (i + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + i, 8);
      const uint64_t below_space = (word - kOnes * 0x20) & ~word & kHigh;
      const uint64_t not_delete = word ^ (kOnes * 0x7f);
      const uint64_t is_delete = (not_delete - kOnes) & ~not_delete & kHigh;
      if ((below_space | is_delete) != 0) break;
      i += 8;
    }
    const size_t stop = i + 8 < text.size() ? i + 8 : text.size();
    while (i < stop && (kClasses[static_cast<uint8_t>(text[i])] & kFieldText) != 0) ++i;
    if (i < stop || i == text.size()) return i;
  }
}

std::string_view TrimWhiteSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && StartsWithIgnoreCase(a, b);
}

bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix) {
  if (text.size() < prefix.size()) return false;
  for (size_t i = 0; i < prefix.size(); ++i) {
    if (ToLower(text[i]) != ToLower(prefix[i])) return false;
  }
  return true;
}

std::string_view TakeListElement(std::string_view* list) {
  const size_t comma = list->find(',');
  const std::string_view element = list->substr(0, comma);
  list->remove_prefix(comma == std::string_view::npos ? list->size() : comma + 1);
  return TrimWhiteSpace(element);
}

}  // namespace sallyport::proxy
