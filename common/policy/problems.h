// Which fields of a message are wrong: all of them, each by its path.

#ifndef SALLYPORT_COMMON_POLICY_PROBLEMS_H_
#define SALLYPORT_COMMON_POLICY_PROBLEMS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace sallyport {

struct FieldProblem {
  // "classes[2].denied_hosts[0]"; empty in a line that is about no field.
  std::string path;
  // What is wrong; what to write instead.
  std::string message;
};

// Collects problems. Keeps the first kMaxProblems and counts the rest. Not thread-safe.
class Problems {
 public:
  static constexpr size_t kMaxProblems = 50;

  void Add(std::string_view path, std::string_view message);
  // Each line of what InvalidField, AtField or ToStatus made; OK adds nothing.
  void Add(const absl::Status& status);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  const std::vector<FieldProblem>& first() const { return first_; }

  // OK if there are none, else `code` with a line "PATH: MESSAGE" for each.
  absl::Status ToStatus(absl::StatusCode code = absl::StatusCode::kInvalidArgument) const;

 private:
  std::vector<FieldProblem> first_;
  size_t count_ = 0;
};

// The problems that such a message names, also one that came from a server.
std::vector<FieldProblem> ProblemsOf(std::string_view message);

// "class.name"; just the field if there is no path to what it is in.
std::string Member(std::string_view path, std::string_view field);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_PROBLEMS_H_
