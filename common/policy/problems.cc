#include "common/policy/problems.h"

#include <algorithm>

#include "common/base/strings.h"

namespace sallyport {

void Problems::Add(std::string_view path, std::string_view message) {
  if (++count_ <= kMaxProblems) first_.push_back({std::string(path), std::string(message)});
}

void Problems::Add(const absl::Status& status) {
  if (status.ok()) return;
  for (const FieldProblem& problem : ProblemsOf(ToStd(status.message()))) {
    Add(problem.path, problem.message);
  }
}

absl::Status Problems::ToStatus(absl::StatusCode code) const {
  if (empty()) return absl::OkStatus();
  std::string lines;
  for (const FieldProblem& problem : first_) {
    if (!lines.empty()) lines += '\n';
    if (!problem.path.empty()) lines += problem.path + ": ";
    lines += problem.message;
  }
  if (count_ > first_.size()) {
    lines += StrCat("\nand ", count_ - first_.size(), " more wrong fields");
  }
  return absl::Status(code, lines);
}

std::vector<FieldProblem> ProblemsOf(std::string_view message) {
  std::vector<FieldProblem> problems;
  while (!message.empty()) {
    const std::string_view line = message.substr(0, message.find('\n'));
    message.remove_prefix(std::min(message.size(), line.size() + 1));
    const size_t colon = line.find(": ");
    // A path has no space in it; a sentence may have a colon.
    if (colon == std::string_view::npos || line.substr(0, colon).find(' ') != line.npos) {
      problems.push_back({"", std::string(line)});
    } else {
      problems.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
    }
  }
  return problems;
}

std::string Member(std::string_view path, std::string_view field) {
  return path.empty() ? std::string(field) : StrCat(path, ".", field);
}

}  // namespace sallyport
