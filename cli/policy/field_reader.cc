#include "cli/policy/field_reader.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "cli/nearest.h"
#include "common/base/strings.h"
#include "common/policy/validate.h"

namespace sallyport::cli {

using yaml::Node;

yaml::Mark FieldMarks::Find(std::string_view path) const {
  while (true) {
    const auto found = marks_.find(ToAbsl(path));
    if (found != marks_.end()) return found->second;
    if (path.empty()) return {1, 1};
    const size_t last = path.find_last_of(".[");
    path = path.substr(0, last == std::string_view::npos ? 0 : last);
  }
}

bool FieldReader::Mapping(const Node& node, std::string_view what, const std::string& path,
                          std::initializer_list<Field> fields) {
  if (!node.is_mapping()) {
    Fail(node, StrCat(what, " must be a mapping; write {} for an empty one"));
    return false;
  }
  for (const Node& value : node.children) {
    const Field* field = std::find_if(fields.begin(), fields.end(),
                                      [&](const Field& known) { return known.name == value.key; });
    if (field != fields.end()) {
      marks_->Set(path.empty() ? value.key : StrCat(path, ".", value.key), value.mark);
      field->read(value);
      continue;
    }
    std::vector<std::string_view> names;
    for (const Field& known : fields) names.push_back(known.name);
    const std::string nearest(Nearest(value.key, names));
    const std::string all = absl::StrJoin(
        names, ", ", [](std::string* out, std::string_view name) { out->append(name); });
    problems_->push_back(
        {value.key_mark, StrCat(what, " has no field `", value.key, "`; did you mean `", nearest,
                                "`? There are ", all)});
  }
  return true;
}

void FieldReader::Sequence(
    const Node& node, const std::string& path,
    const std::function<void(const Node& item, const std::string& item_path)>& read) {
  if (!node.is_sequence()) {
    Fail(node, "expected a list; write [] for the empty one");
    return;
  }
  marks_->Set(path, node.mark);
  for (size_t i = 0; i < node.children.size(); ++i) {
    const std::string item_path = Element(path, static_cast<int>(i));
    marks_->Set(item_path, node.children[i].mark);
    read(node.children[i], item_path);
  }
}

std::string FieldReader::Text(const Node& node) {
  if (node.is_scalar()) return node.text;
  Fail(node, "expected text");
  return "";
}

bool FieldReader::Boolean(const Node& node) {
  const std::string word = absl::AsciiStrToLower(node.text);
  if (node.kind == Node::Kind::kPlain && (word == "true" || word == "false")) return word == "true";
  Fail(node, "expected true or false");
  return false;
}

uint32_t FieldReader::Number(const Node& node) {
  uint32_t value = 0;
  if (node.kind == Node::Kind::kPlain && absl::SimpleAtoi(node.text, &value)) return value;
  Fail(node, "expected a whole number");
  return 0;
}

void FieldReader::Texts(const Node& node, const std::string& path,
                        google::protobuf::RepeatedPtrField<std::string>* into) {
  Sequence(node, path, [&](const Node& item, const std::string&) { into->Add(Text(item)); });
}

}  // namespace sallyport::cli
