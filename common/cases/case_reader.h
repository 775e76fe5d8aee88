// Reads files of cases: a JSON list of objects, or the objects one after the other.

#ifndef SALLYPORT_COMMON_CASES_CASE_READER_H_
#define SALLYPORT_COMMON_CASES_CASE_READER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "common/cases/case.h"

namespace sallyport::cases {

// Reads one case at a time, so that a large file costs no more than its text. Unknown fields are
// errors: a case that says more than is read would pass for the wrong reason. Not thread-safe.
class CaseReader {
 public:
  // `name` is the file's, for messages.
  CaseReader(std::string name, std::string text);

  // The next case, or nullopt at the end. INVALID_ARGUMENT "NAME:LINE:COLUMN: what is wrong"; then
  // the rest cannot be read.
  absl::StatusOr<std::optional<Case>> Next();

 private:
  void SkipSpace();
  // Moves behind a comma or the list's end. Whether there is another case.
  absl::StatusOr<bool> FindCase();
  // The object that begins here, braces included.
  absl::StatusOr<std::string_view> TakeObject();
  absl::Status Wrong(size_t offset, std::string_view message) const;

  const std::string name_;
  const std::string text_;
  size_t offset_ = 0;
  bool is_list_ = false;
  size_t count_ = 0;
  // Lines are counted as cases go by.
  size_t counted_ = 0;
  int line_ = 1;
  absl::flat_hash_set<std::string> ids_;
};

// NOT_FOUND: the file cannot be read.
absl::StatusOr<std::string> ReadFile(const std::string& path);
absl::StatusOr<std::vector<Case>> LoadCases(const std::string& path);

}  // namespace sallyport::cases

#endif  // SALLYPORT_COMMON_CASES_CASE_READER_H_
