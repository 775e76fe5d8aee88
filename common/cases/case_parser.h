// From the JSON of one case to a Case.

#ifndef SALLYPORT_COMMON_CASES_CASE_PARSER_H_
#define SALLYPORT_COMMON_CASES_CASE_PARSER_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/cases/case.h"

namespace sallyport::cases {

struct BadCase {
  std::string message;
  // Where in the text: an offset, or else the field that is wrong.
  std::optional<size_t> offset = {};
  std::string field = {};
};

// `json` is one object.
std::variant<Case, BadCase> ParseCase(std::string_view json);

}  // namespace sallyport::cases

#endif  // SALLYPORT_COMMON_CASES_CASE_PARSER_H_
