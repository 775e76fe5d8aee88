#include "common/policy/validate.h"

#include <google/protobuf/util/json_util.h>

#include <cmath>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"

namespace sallyport {
namespace {

// A level of JSON is up to three messages, and no program reads more than 100 messages inside of
// one another: a rule that the control plane takes must fit in a delta and in what the proxy is
// sent.
constexpr int kMaxParamsDepth = 25;

absl::Status CheckValue(std::string_view field_path, const google::protobuf::Value& value,
                        int depth) {
  using google::protobuf::Value;
  if (depth > kMaxParamsDepth)
    return InvalidField(field_path,
                        StrCat("is nested more than ", kMaxParamsDepth, " deep; make it flatter"));
  switch (value.kind_case()) {
    case Value::KIND_NOT_SET:
      return InvalidField(field_path, "has a value that is not set; write null");
    case Value::kNumberValue:
      if (std::isfinite(value.number_value())) return absl::OkStatus();
      return InvalidField(field_path, "has a number that JSON cannot carry; write it as a string");
    case Value::kStructValue:
      for (const auto& [key, member] : value.struct_value().fields()) {
        RETURN_IF_ERROR(CheckValue(field_path, member, depth + 1));
      }
      return absl::OkStatus();
    case Value::kListValue:
      for (const Value& member : value.list_value().values()) {
        RETURN_IF_ERROR(CheckValue(field_path, member, depth + 1));
      }
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status ValidateId(std::string_view field_path, std::string_view text, size_t longest,
                        std::string_view punctuation) {
  if (text.empty()) {
    return InvalidField(field_path, StrCat("is empty; write letters, digits and any of ",
                                           punctuation, ", ", longest, " at most"));
  }
  if (text.size() > longest) {
    return InvalidField(field_path,
                        StrCat("is longer than ", longest, " bytes; choose a shorter one"));
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(text[i]))) continue;
    if (i > 0 && punctuation.find(text[i]) != std::string_view::npos) continue;
    return InvalidField(field_path, StrCat(Quote(text), " must be letters, digits and any of ",
                                           punctuation, ", the first a letter or digit"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InvalidField(std::string_view field_path, std::string_view message) {
  return absl::InvalidArgumentError(StrCat(field_path, ": ", message));
}

absl::Status AtField(std::string_view field_path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), StrCat(field_path, ": ", status.message()));
}

std::string Element(std::string_view field_path, int index) {
  return StrCat(field_path, "[", index, "]");
}

absl::Status ValidateParams(std::string_view field_path, const google::protobuf::Struct& params) {
  for (const auto& [key, value] : params.fields()) {
    RETURN_IF_ERROR(CheckValue(field_path, value, 1));
  }
  // The wire form and JSON differ by a factor of less than 12 either way; only near the limit is
  // JSON made to tell.
  const size_t wire_size = params.ByteSizeLong();
  if (wire_size * 12 <= kMaxParamsJson) return absl::OkStatus();
  std::string json;
  if (wire_size <= 12 * kMaxParamsJson &&
      google::protobuf::util::MessageToJsonString(params, &json).ok() &&
      json.size() <= kMaxParamsJson) {
    return absl::OkStatus();
  }
  return InvalidField(field_path,
                      "is larger than 64 KiB as JSON; keep large values in the handler");
}

void CheckReference(std::string_view field_path, const v1::HandlerReference& reference,
                    Problems* problems) {
  problems->Add(ValidateName(Member(field_path, "handler"), reference.handler()));
  problems->Add(ValidateParams(Member(field_path, "params"), reference.params()));
}

absl::Status ValidateReference(std::string_view field_path, const v1::HandlerReference& reference) {
  Problems problems;
  CheckReference(field_path, reference, &problems);
  return problems.ToStatus();
}

std::string CanonicalPattern(std::string_view field_path, std::string_view text,
                             Problems* problems) {
  const absl::StatusOr<Pattern> pattern = Pattern::Parse(text);
  if (pattern.ok()) return pattern->text();
  problems->Add(field_path, ToStd(pattern.status().message()));
  return "";
}

bool CheckCount(std::string_view field_path, int entries, Problems* problems) {
  if (entries <= kMaxEntries) return true;
  problems->Add(field_path, StrCat("has more than ", kMaxEntries, " entries"));
  return false;
}

void EntryLimit::Add(std::string_view canonical) {
  if (++entries_ == kMaxEntries + 1) CheckCount(field_path_, entries_, problems_);
  const bool is_pattern = canonical.find_first_of("*/") != std::string_view::npos;
  if (is_pattern && ++patterns_ == kMaxPatterns + 1) {
    problems_->Add(field_path_,
                   StrCat("has more than ", kMaxPatterns,
                          " entries with `*` or of networks; write exact hosts where you can"));
  }
}

absl::Status ValidateContainerId(std::string_view id) {
  return ValidateId("container_id", id, 128, "-_.:");
}

absl::Status ValidateName(std::string_view field_path, std::string_view name) {
  return ValidateId(field_path, name, 63, "-_.");
}

}  // namespace sallyport
