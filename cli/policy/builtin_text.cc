#include "cli/policy/builtin_text.h"

#include <optional>

#include "absl/strings/str_join.h"
#include "cli/policy/read.h"
#include "cli/yaml/parse.h"
#include "common/base/strings.h"

namespace sallyport::cli {

absl::StatusOr<v1::Builtin> ParseBuiltin(const std::string& text) {
  yaml::Problems problems;
  FieldMarks marks;
  v1::Builtin builtin;
  const std::optional<yaml::Node> node = yaml::Parse(text, &problems);
  if (node.has_value()) {
    FieldReader reader(&problems, &marks);
    ReadBuiltin(*node, "", &reader, &builtin);
  }
  if (problems.empty()) return builtin;
  return absl::InvalidArgumentError(
      absl::StrJoin(problems, "\n", [](std::string* out, const yaml::Problem& problem) {
        absl::StrAppend(out, problem.mark.line, ":", problem.mark.column, ": ", problem.what);
      }));
}

}  // namespace sallyport::cli
