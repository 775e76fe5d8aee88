#include "common/cases/case_reader.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>
#include <variant>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/cases/case_parser.h"

namespace sallyport::cases {
namespace {

// Deeper JSON is nobody's case.
constexpr int kMaxDepth = 100;

}  // namespace

CaseReader::CaseReader(std::string name, std::string text)
    : name_(std::move(name)), text_(std::move(text)) {
  if (text_.starts_with("\xef\xbb\xbf")) offset_ = 3;  // A byte order mark.
  SkipSpace();
  if (offset_ < text_.size() && text_[offset_] == '[') {
    is_list_ = true;
    ++offset_;
  }
}

void CaseReader::SkipSpace() {
  offset_ = std::min(text_.find_first_not_of(" \t\r\n", offset_), text_.size());
}

absl::Status CaseReader::Wrong(size_t offset, std::string_view message) const {
  const std::string_view before = std::string_view(text_).substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return absl::InvalidArgumentError(
      StrCat(name_, ":", line, ":", offset - line_start + 1, ": ", message));
}

absl::StatusOr<bool> CaseReader::FindCase() {
  SkipSpace();
  if (!is_list_) {
    if (offset_ == text_.size()) return false;
  } else {
    if (offset_ == text_.size()) return Wrong(offset_, "the list of cases has no end; write `]`");
    if (text_[offset_] == ']') {
      ++offset_;
      SkipSpace();
      if (offset_ < text_.size()) return Wrong(offset_, "there is text after the list of cases");
      is_list_ = false;
      return false;
    }
    if (count_ > 0) {
      if (text_[offset_] != ',') return Wrong(offset_, "write a comma between two cases");
      ++offset_;
      SkipSpace();
    }
  }
  if (offset_ == text_.size() || text_[offset_] != '{') {
    return Wrong(offset_, "a case is wanted here, an object in braces");
  }
  return true;
}

absl::StatusOr<std::string_view> CaseReader::TakeObject() {
  const size_t begin = offset_;
  int depth = 0;
  bool in_string = false;
  for (; offset_ < text_.size(); ++offset_) {
    const char c = text_[offset_];
    if (in_string) {
      if (c == '\\') ++offset_;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return Wrong(offset_, "is nested too deep");
    } else if ((c == '}' || c == ']') && --depth == 0) {
      ++offset_;
      return std::string_view(text_).substr(begin, offset_ - begin);
    }
  }
  return Wrong(begin, "this case has no end");
}

absl::StatusOr<std::optional<Case>> CaseReader::Next() {
  ASSIGN_OR_RETURN(const bool has_case, FindCase());
  if (!has_case) return std::optional<Case>();
  ++count_;
  const size_t begin = offset_;
  ASSIGN_OR_RETURN(const std::string_view object, TakeObject());
  std::variant<Case, BadCase> parsed = ParseCase(object);
  if (const BadCase* bad = std::get_if<BadCase>(&parsed)) {
    const size_t field = object.find(StrCat("\"", bad->field, "\""));
    return Wrong(begin + bad->offset.value_or(field == std::string_view::npos ? 0 : field),
                 bad->message);
  }
  Case result = std::get<Case>(std::move(parsed));
  line_ += static_cast<int>(std::count(text_.begin() + counted_, text_.begin() + begin, '\n'));
  counted_ = begin;
  result.line = line_;
  const size_t newline = begin == 0 ? std::string::npos : text_.rfind('\n', begin - 1);
  result.column = static_cast<int>(begin - (newline == std::string::npos ? 0 : newline + 1)) + 1;
  if (!ids_.insert(result.id).second) {
    return Wrong(begin, StrCat("there is a case ", Quote(result.id), " already"));
  }
  return std::optional<Case>(std::move(result));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (file.good()) text << file.rdbuf();
  if (!file.good()) return absl::NotFoundError(StrCat(path, ": cannot be read"));
  return std::move(text).str();
}

absl::StatusOr<std::vector<Case>> LoadCases(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  CaseReader reader(path, std::move(text));
  std::vector<Case> cases;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Case> next, reader.Next());
    if (!next.has_value()) return cases;
    cases.push_back(*std::move(next));
  }
}

}  // namespace sallyport::cases
