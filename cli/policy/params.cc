#include "cli/policy/params.h"

#include <charconv>
#include <cmath>
#include <map>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using yaml::Node;

// The greatest whole number up to which a double has them all.
constexpr double kExact = 9007199254740992.0;

bool LooksLikeNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
         text.find_first_of("0123456789") != std::string::npos;
}

bool IsInteger(const std::string& text) {
  return text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0) == std::string::npos;
}

void ReadPlain(const Node& node, FieldReader* reader, Value* value) {
  const std::string word = absl::AsciiStrToLower(node.text);
  double number = 0;
  if (word == "true" || word == "false") {
    value->set_bool_value(word == "true");
  } else if (LooksLikeNumber(node.text) && absl::SimpleAtod(node.text, &number)) {
    if (!std::isfinite(number)) {
      reader->Fail(node, "is too great for a JSON number; write it in quotes");
    } else if (IsInteger(node.text) && std::abs(number) >= kExact &&
               absl::StrFormat("%.0f", number) != node.text) {
      reader->Fail(node, "has more digits than a JSON number carries; write it in quotes");
    }
    value->set_number_value(number);
  } else {
    value->set_string_value(node.text);
  }
}

void ReadValue(const Node& node, FieldReader* reader, Value* value) {
  switch (node.kind) {
    case Node::Kind::kNull:
      value->set_null_value(google::protobuf::NULL_VALUE);
      return;
    case Node::Kind::kText:
      value->set_string_value(node.text);
      return;
    case Node::Kind::kPlain:
      ReadPlain(node, reader, value);
      return;
    case Node::Kind::kSequence:
      value->mutable_list_value();
      for (const Node& item : node.children)
        ReadValue(item, reader, value->mutable_list_value()->add_values());
      return;
    case Node::Kind::kMapping:
      ReadParams(node, reader, value->mutable_struct_value());
      return;
  }
}

std::string NumberText(double number) {
  char buffer[64];
  // Beyond kExact as 9.1e+15: digits alone would claim to be exact.
  const auto end =
      std::abs(number) > kExact
          ? std::to_chars(buffer, buffer + sizeof(buffer), number, std::chars_format::scientific)
          : std::to_chars(buffer, buffer + sizeof(buffer), number);
  return std::string(buffer, end.ptr);
}

Node ToYaml(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      return Node();
    case Value::kNumberValue:
      return Node::Plain(NumberText(value.number_value()));
    case Value::kStringValue:
      return Node::Text(value.string_value());
    case Value::kBoolValue:
      return Node::Boolean(value.bool_value());
    case Value::kStructValue:
      return ParamsToYaml(value.struct_value());
    case Value::kListValue: {
      Node list = Node::Sequence(Node::Style::kFlow);
      for (const Value& item : value.list_value().values()) list.Add(ToYaml(item));
      return list;
    }
  }
  return Node();
}

}  // namespace

void ReadParams(const Node& node, FieldReader* reader, Struct* params) {
  if (!node.is_mapping()) {
    reader->Fail(node, "params must be a mapping");
    return;
  }
  for (const Node& member : node.children)
    ReadValue(member, reader, &(*params->mutable_fields())[member.key]);
}

Node ParamsToYaml(const Struct& params) {
  Node mapping = Node::Mapping(Node::Style::kFlow);
  const std::map<std::string, Value> sorted(params.fields().begin(), params.fields().end());
  for (const auto& [key, value] : sorted) mapping.Add(key, ToYaml(value));
  return mapping;
}

}  // namespace sallyport::cli
