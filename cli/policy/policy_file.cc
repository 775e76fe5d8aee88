#include "cli/policy/policy_file.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_join.h"
#include "cli/policy/check.h"
#include "cli/policy/read.h"
#include "cli/yaml/parse.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

constexpr size_t kMaxProblems = 100;

void SetName(const std::string& name, v1::Handler* value) { value->set_name(name); }
void SetName(const std::string& name, v1::ContainerClass* value) { value->set_name(name); }
void SetName(const std::string& name, v1::ContainerPolicy* value) { value->set_container_id(name); }

const std::string& NameOf(const v1::Handler& value) { return value.name(); }
const std::string& NameOf(const v1::ContainerClass& value) { return value.name(); }
const std::string& NameOf(const v1::ContainerPolicy& value) { return value.container_id(); }

// Of a value that could not be read, a check would only say again that it is not there.
template <typename T>
void AddChecks(const Written<T>& written, yaml::Problems* problems) {
  yaml::Problems of_checking;
  Check(written.value, written.marks, &of_checking);
  const size_t read = problems->size();
  for (yaml::Problem& problem : of_checking) {
    const auto end = problems->begin() + static_cast<ptrdiff_t>(read);
    const bool is_known = std::any_of(problems->begin(), end, [&](const yaml::Problem& known) {
      return known.mark == problem.mark;
    });
    if (!is_known) problems->push_back(std::move(problem));
  }
}

// A mapping from names to what is read of them.
template <typename T>
void ReadNamed(const Node& node, yaml::Problems* problems, std::vector<Written<T>>* into) {
  if (!node.is_mapping()) {
    problems->push_back({node.mark, "expected a mapping from names; write {} for an empty one"});
    return;
  }
  for (const Node& entry : node.children) {
    Written<T> written;
    written.marks.Set("", entry.key_mark);
    SetName(entry.key, &written.value);
    yaml::Problems of_reading;
    FieldReader reader(&of_reading, &written.marks);
    Read(entry, &reader, &written.value);
    if (entry.is_mapping()) AddChecks(written, &of_reading);
    problems->insert(problems->end(), of_reading.begin(), of_reading.end());
    into->push_back(std::move(written));
  }
}

PolicyFile ReadRoot(const Node& root, yaml::Problems* problems) {
  PolicyFile file;
  if (root.kind == Node::Kind::kNull) {
    problems->push_back({{1, 1}, "the file is empty; write `classes:` and a class below it"});
    return file;
  }
  FieldMarks unused;
  FieldReader reader(problems, &unused);
  reader.Mapping(
      root, "a policy file", "",
      {{"handlers", [&](const Node& node) { ReadNamed(node, problems, &file.handlers); }},
       {"classes", [&](const Node& node) { ReadNamed(node, problems, &file.classes); }},
       {"containers", [&](const Node& node) { ReadNamed(node, problems, &file.containers); }}});
  return file;
}

std::string At(const std::string& file, yaml::Mark mark) {
  return StrCat(file, ":", mark.line, ":", mark.column);
}

absl::Status ToStatus(const std::string& file, yaml::Problems problems) {
  std::sort(problems.begin(), problems.end(), [](const yaml::Problem& a, const yaml::Problem& b) {
    return std::tie(a.mark.line, a.mark.column, a.what) <
           std::tie(b.mark.line, b.mark.column, b.what);
  });
  std::vector<std::string> lines;
  for (size_t i = 0; i < std::min(problems.size(), kMaxProblems); ++i)
    lines.push_back(StrCat(At(file, problems[i].mark), ": ", problems[i].what));
  if (problems.size() > kMaxProblems)
    lines.push_back(StrCat(file, ": ", problems.size() - kMaxProblems, " more of these"));
  return absl::InvalidArgumentError(absl::StrJoin(lines, "\n"));
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
    if (!file) return absl::NotFoundError(StrCat("cannot read ", path));
  }
  std::istream& stream = path == "-" ? std::cin : file;
  std::string text;
  char buffer[65536];
  // One byte more than is legal is enough to know that it is too much.
  while (text.size() <= yaml::kMaxBytes &&
         (stream.read(buffer, sizeof(buffer)), stream.gcount() > 0))
    text.append(buffer, static_cast<size_t>(stream.gcount()));
  if (stream.bad()) return absl::NotFoundError(StrCat("cannot read ", path));
  return text;
}

// INVALID_ARGUMENT for what is in `file` and in the files before.
template <typename T>
absl::Status Append(const char* kind, std::vector<Written<T>> from, std::vector<Written<T>>* into) {
  absl::flat_hash_map<std::string, const Written<T>*> known;
  for (const Written<T>& before : *into) known.emplace(NameOf(before.value), &before);
  for (const Written<T>& written : from) {
    const auto found = known.find(NameOf(written.value));
    if (found == known.end()) continue;
    return absl::InvalidArgumentError(
        StrCat(At(written.file, written.marks.Find("")), ": the ", kind, " ", found->first,
               " is in ", At(found->second->file, found->second->marks.Find("")), " already"));
  }
  into->insert(into->end(), std::make_move_iterator(from.begin()),
               std::make_move_iterator(from.end()));
  return absl::OkStatus();
}

template <typename T>
void SetFile(const std::string& file, std::vector<Written<T>>* all) {
  for (Written<T>& written : *all) written.file = file;
}

}  // namespace

absl::StatusOr<PolicyFile> ParsePolicyFile(const std::string& text, const std::string& file_name) {
  yaml::Problems problems;
  PolicyFile file;
  if (const std::optional<Node> root = yaml::Parse(text, &problems); root.has_value())
    file = ReadRoot(*root, &problems);
  if (!problems.empty()) return ToStatus(file_name, std::move(problems));
  SetFile(file_name, &file.handlers);
  SetFile(file_name, &file.classes);
  SetFile(file_name, &file.containers);
  return file;
}

absl::StatusOr<PolicyFile> ReadPolicyFiles(const std::vector<std::string>& paths) {
  PolicyFile all;
  std::string problems;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const std::string text, ReadText(path));
    absl::StatusOr<PolicyFile> file = ParsePolicyFile(text, path == "-" ? "stdin" : path);
    absl::Status status = file.status();
    if (status.ok()) status = Append("handler", std::move(file->handlers), &all.handlers);
    if (status.ok()) status = Append("class", std::move(file->classes), &all.classes);
    if (status.ok()) status = Append("container", std::move(file->containers), &all.containers);
    if (!status.ok())
      problems += StrCat(problems.empty() ? "" : "\n", std::string(status.message()));
  }
  if (!problems.empty()) return absl::InvalidArgumentError(problems);
  return all;
}

}  // namespace sallyport::cli
