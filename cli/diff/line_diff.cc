#include "cli/diff/line_diff.h"

#include <algorithm>
#include <vector>

#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

constexpr size_t kContext = 3;
// The search keeps a row for each difference: 4,000 of them take 64 MB.
constexpr int kMaxDifferences = 4000;

using Lines = std::vector<std::string_view>;

struct Edit {
  char kind;  // ' ', '-' or '+'.
  std::string_view line;
};

Lines Split(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

// E. W. Myers, "An O(ND) Difference Algorithm and Its Variations": for each number of differences,
// how far each diagonal gets; then back from the end.
class ShortestScript {
 public:
  ShortestScript(const Lines& a, const Lines& b) : a_(a), b_(b) {}

  // In reverse. Empty: there are more than kMaxDifferences.
  std::vector<Edit> Reversed() {
    std::vector<Edit> edits;
    if (!Search()) return edits;
    int x = Size(a_);
    int y = Size(b_);
    for (int d = static_cast<int>(rows_.size()) - 1; d >= 0; --d) {
      const int k = x - y;
      const int from_k = d == 0 ? k : Down(d, k) ? k + 1 : k - 1;
      const int from_x = d == 0 ? 0 : At(d - 1, from_k);
      const int from_y = d == 0 ? 0 : from_x - from_k;
      while (x > from_x && y > from_y) {
        edits.push_back({' ', a_[static_cast<size_t>(--x)]});
        --y;
      }
      if (d == 0) break;
      if (x > from_x) edits.push_back({'-', a_[static_cast<size_t>(--x)]});
      if (y > from_y) edits.push_back({'+', b_[static_cast<size_t>(--y)]});
    }
    return edits;
  }

 private:
  static int Size(const Lines& lines) { return static_cast<int>(lines.size()); }
  // How far diagonal k got with d differences.
  int At(int d, int k) const { return rows_[static_cast<size_t>(d)][static_cast<size_t>(k + d)]; }
  // Whether diagonal k is entered by an insertion, not a deletion.
  bool Down(int d, int k) const {
    return k == -d || (k != d && At(d - 1, k - 1) < At(d - 1, k + 1));
  }

  bool Search() {
    const int most = std::min(Size(a_) + Size(b_), kMaxDifferences);
    for (int d = 0; d <= most; ++d) {
      rows_.emplace_back(static_cast<size_t>(2 * d + 1));
      for (int k = -d; k <= d; k += 2) {
        int x = d == 0 ? 0 : Down(d, k) ? At(d - 1, k + 1) : At(d - 1, k - 1) + 1;
        int y = x - k;
        while (x < Size(a_) && y < Size(b_) &&
               a_[static_cast<size_t>(x)] == b_[static_cast<size_t>(y)]) {
          ++x;
          ++y;
        }
        rows_.back()[static_cast<size_t>(k + d)] = x;
        if (x >= Size(a_) && y >= Size(b_)) return true;
      }
    }
    return false;
  }

  const Lines& a_;
  const Lines& b_;
  std::vector<std::vector<int>> rows_;
};

// What is the same at both ends costs nothing.
std::vector<Edit> Script(const Lines& a, const Lines& b) {
  const auto [first_a, first_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const size_t prefix = static_cast<size_t>(first_a - a.begin());
  size_t suffix = 0;
  while (suffix < std::min(a.size(), b.size()) - prefix &&
         a[a.size() - 1 - suffix] == b[b.size() - 1 - suffix]) {
    ++suffix;
  }
  const Lines middle_a(first_a, a.end() - static_cast<ptrdiff_t>(suffix));
  const Lines middle_b(first_b, b.end() - static_cast<ptrdiff_t>(suffix));

  std::vector<Edit> edits;
  for (size_t i = 0; i < prefix; ++i) edits.push_back({' ', a[i]});
  std::vector<Edit> reversed = ShortestScript(middle_a, middle_b).Reversed();
  if (reversed.empty()) {
    for (const std::string_view line : middle_a) edits.push_back({'-', line});
    for (const std::string_view line : middle_b) edits.push_back({'+', line});
  }
  edits.insert(edits.end(), reversed.rbegin(), reversed.rend());
  for (size_t i = a.size() - suffix; i < a.size(); ++i) edits.push_back({' ', a[i]});
  return edits;
}

// "3,7"; as diff(1) has it, an empty range is named by the line before it.
std::string Range(size_t begin, size_t count) {
  return count == 1 ? StrCat(begin + 1) : StrCat(count == 0 ? begin : begin + 1, ",", count);
}

}  // namespace

std::string UnifiedDiff(std::string_view before, std::string_view after) {
  const std::vector<Edit> edits = Script(Split(before), Split(after));
  std::string text;
  size_t line_a = 0;
  size_t line_b = 0;
  for (size_t i = 0; i < edits.size();) {
    const auto changed = [](const Edit& edit) { return edit.kind != ' '; };
    const auto at = edits.begin() + static_cast<ptrdiff_t>(i);
    const size_t change =
        static_cast<size_t>(std::find_if(at, edits.end(), changed) - edits.begin());
    if (change == edits.size()) break;
    const size_t begin = std::max(i, change - std::min(change, kContext));
    line_a += begin - i;
    line_b += begin - i;
    // Changes whose contexts meet are one hunk.
    size_t end = change;
    for (size_t j = change; j < edits.size() && j <= end + 2 * kContext; ++j) {
      if (changed(edits[j])) end = j;
    }
    end = std::min(end + 1 + kContext, edits.size());
    size_t count_a = 0;
    size_t count_b = 0;
    std::string lines;
    for (size_t j = begin; j < end; ++j) {
      count_a += edits[j].kind != '+' ? 1 : 0;
      count_b += edits[j].kind != '-' ? 1 : 0;
      lines += edits[j].kind;
      lines += edits[j].line;
      if (!lines.ends_with('\n')) lines += '\n';
    }
    text += StrCat("@@ -", Range(line_a, count_a), " +", Range(line_b, count_b), " @@\n", lines);
    line_a += count_a;
    line_b += count_b;
    i = end;
  }
  return text;
}

}  // namespace sallyport::cli
