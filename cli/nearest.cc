#include "cli/nearest.h"

#include <algorithm>

namespace sallyport::cli {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view Nearest(std::string_view typed, const std::vector<std::string_view>& names) {
  // Longer names than any of ours are not worth the square of their length.
  const std::string_view start = typed.substr(0, 100);
  return *std::min_element(names.begin(), names.end(), [&](std::string_view a, std::string_view b) {
    return EditDistance(a, start) < EditDistance(b, start);
  });
}

}  // namespace sallyport::cli
