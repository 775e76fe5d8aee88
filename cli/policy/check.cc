#include "cli/policy/check.h"

#include <string>
#include <string_view>

#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"

namespace sallyport::cli {
namespace {

// "allowed_hosts[2]: what is wrong", one a line.
void Note(const absl::Status& status, const FieldMarks& marks, yaml::Problems* problems) {
  if (status.ok()) return;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    const size_t colon = line.find(": ");
    const absl::string_view path = colon == absl::string_view::npos ? "" : line.substr(0, colon);
    problems->push_back({marks.Find(ToStd(path)), std::string(line)});
  }
}

}  // namespace

void Check(const v1::Handler& handler, const FieldMarks& marks, yaml::Problems* problems) {
  v1::Handler normal = handler;
  Note(NormaliseHandler(&normal), marks, problems);
}

void Check(const v1::ContainerClass& value, const FieldMarks& marks, yaml::Problems* problems) {
  v1::ContainerClass normal = value;
  Note(NormaliseClass(&normal), marks, problems);
}

void Check(const v1::ContainerPolicy& value, const FieldMarks& marks, yaml::Problems* problems) {
  v1::ContainerPolicy normal = value;
  Note(NormaliseContainer(&normal), marks, problems);
}

}  // namespace sallyport::cli
