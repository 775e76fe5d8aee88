#include "common/flags/flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"

namespace sallyport {
namespace {

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

// Levenshtein distance. Flag names are short.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::milliseconds(0);
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  int64_t number = 0;
  if (digits == 0 || digits > 9 || !absl::SimpleAtoi(Absl(text.substr(0, digits)), &number)) {
    return std::nullopt;
  }
  const std::string_view unit = text.substr(digits);
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit == "s") return std::chrono::seconds(number);
  if (unit == "m") return std::chrono::minutes(number);
  if (unit == "h") return std::chrono::hours(number);
  return std::nullopt;
}

std::string DurationText(std::chrono::milliseconds duration) {
  const int64_t ms = duration.count();
  return ms % 1000 == 0 ? absl::StrCat(ms / 1000, "s") : absl::StrCat(ms, "ms");
}

}  // namespace

FlagSet::FlagSet(std::string_view program, std::string_view summary, Positional positional)
    : program_(program), summary_(summary), positional_(positional) {}

void FlagSet::Add(Flag flag) { flags_.push_back(std::move(flag)); }

void FlagSet::String(std::string_view name, std::string* target, std::string_view value_name,
                     std::string_view help) {
  Add({std::string(name), std::string(value_name), std::string(help), *target,
       [target](std::string_view value) {
         *target = std::string(value);
         return absl::OkStatus();
       }});
}

void FlagSet::StringList(std::string_view name, std::vector<std::string>* target,
                         std::string_view value_name, std::string_view help) {
  auto replaced = std::make_shared<bool>(false);
  Add({std::string(name), std::string(value_name), std::string(help), absl::StrJoin(*target, ", "),
       [target, replaced](std::string_view value) {
         if (!std::exchange(*replaced, true)) target->clear();
         target->emplace_back(value);
         return absl::OkStatus();
       }});
}

void FlagSet::Optional(std::string_view name, std::optional<std::string>* target,
                       std::string_view value_name, std::string_view help) {
  Add({std::string(name), "", std::string(help), "",
       [target](std::string_view value) {
         *target = std::string(value);
         return absl::OkStatus();
       },
       "", absl::StrCat("[=", Absl(value_name), "]")});
}

void FlagSet::Bool(std::string_view name, bool* target, std::string_view help) {
  Add({std::string(name), "", std::string(help), *target ? "true" : "",
       [target, name = std::string(name)](std::string_view value) {
         if (value != "true" && value != "false") {
           return absl::InvalidArgumentError(
               absl::StrCat("--", name, " is given as --", name, ", --", name, "=true or --", name,
                            "=false, not with the value \"", Absl(value), "\""));
         }
         *target = value == "true";
         return absl::OkStatus();
       }});
}

void FlagSet::Int(std::string_view name, int64_t* target, int64_t min, int64_t max,
                  std::string_view value_name, std::string_view help) {
  Add({std::string(name), std::string(value_name), std::string(help), absl::StrCat(*target),
       [target, min, max, name = std::string(name)](std::string_view value) {
         int64_t number = 0;
         if (!absl::SimpleAtoi(Absl(value), &number) || number < min || number > max) {
           return absl::InvalidArgumentError(absl::StrCat("--", name, " takes a number from ", min,
                                                          " to ", max, ", not \"", Absl(value),
                                                          "\""));
         }
         *target = number;
         return absl::OkStatus();
       }});
}

void FlagSet::Duration(std::string_view name, std::chrono::milliseconds* target,
                       std::string_view value_name, std::string_view help) {
  Add({std::string(name), std::string(value_name), std::string(help), DurationText(*target),
       [target, name = std::string(name)](std::string_view value) {
         const std::optional<std::chrono::milliseconds> duration = ParseDuration(value);
         if (!duration.has_value()) {
           return absl::InvalidArgumentError(absl::StrCat(
               "--", name, " takes a duration such as 5s, 250ms or 2m, not \"", Absl(value), "\""));
         }
         *target = *duration;
         return absl::OkStatus();
       }});
}

const FlagSet::Flag* FlagSet::Find(std::string_view name) const {
  for (const Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

absl::Status FlagSet::Unknown(std::string_view name) const {
  std::string_view nearest;
  size_t nearest_distance = name.size() / 3 + 2;  // Further away is not a typing mistake.
  for (const Flag& flag : flags_) {
    const size_t distance = EditDistance(name, flag.name);
    if (distance < nearest_distance) {
      nearest_distance = distance;
      nearest = flag.name;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no flag --", Absl(name),
                   nearest.empty() ? "" : absl::StrCat("; did you mean --", Absl(nearest), "?")));
}

absl::Status FlagSet::ParseFlag(const std::vector<std::string>& arguments, size_t* index,
                                Parsed* parsed) {
  const std::string_view argument = arguments[*index];
  const size_t equals = argument.find('=');
  const bool has_value = equals != std::string_view::npos;
  const std::string_view name = argument.substr(2, has_value ? equals - 2 : equals);

  const Flag* flag = Find(name);
  if (flag == nullptr && !has_value && name == "help") {
    parsed->help = true;
    return absl::OkStatus();
  }
  if (flag == nullptr && !has_value && name == "version" && !version_.empty()) {
    parsed->version = true;
    return absl::OkStatus();
  }
  if (flag == nullptr) return Unknown(name);
  if (has_value) return flag->set(argument.substr(equals + 1));
  if (flag->value_name.empty()) return flag->set(flag->bare);
  if (*index + 1 >= arguments.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", Absl(name), " needs a value: --", Absl(name), " ", flag->value_name));
  }
  return flag->set(arguments[++*index]);
}

absl::StatusOr<FlagSet::Parsed> FlagSet::Parse(const std::vector<std::string>& arguments) {
  Parsed parsed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      parsed.positional.insert(parsed.positional.end(), arguments.begin() + i + 1, arguments.end());
      break;
    }
    if (argument == "-h") {
      parsed.help = true;
    } else if (argument.starts_with("--")) {
      RETURN_IF_ERROR(ParseFlag(arguments, &i, &parsed));
    } else if (argument.size() > 1 && argument[0] == '-') {
      return absl::InvalidArgumentError(
          absl::StrCat("flags are written with two dashes, not \"", argument, "\""));
    } else if (positional_ == Positional::kStopsAtTheFirst) {
      parsed.positional.assign(arguments.begin() + i, arguments.end());
      break;
    } else {
      parsed.positional.push_back(argument);
    }
    if (parsed.help || parsed.version) return parsed;
  }
  if (positional_ == Positional::kRefused && !parsed.positional.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", parsed.positional.front(), "\" is not a flag, and no other arguments are taken"));
  }
  return parsed;
}

std::vector<std::string> FlagSet::ParseOrExit(const std::vector<std::string>& arguments) {
  absl::StatusOr<Parsed> parsed = Parse(arguments);
  if (!parsed.ok()) {
    std::fprintf(stderr, "%s: %s\nTry: %s --help\n", program_.c_str(),
                 std::string(parsed.status().message()).c_str(), program_.c_str());
    std::exit(2);
  }
  if (parsed->help || parsed->version) {
    std::fputs(parsed->help ? Help().c_str() : absl::StrCat(version_, "\n").c_str(), stdout);
    std::exit(0);
  }
  return std::move(parsed->positional);
}

std::string FlagSet::Help() const {
  std::string text = absl::StrCat("Usage: ", program_, " [FLAGS]", arguments_.empty() ? "" : " ",
                                  arguments_, "\n\n", summary_, "\n\nFlags:\n");
  const auto add = [&text](const std::string& left, const std::string& help) {
    absl::StrAppend(&text, "  ", left);
    if (left.size() < 26) {
      text.append(28 - left.size(), ' ');
    } else {
      absl::StrAppend(&text, "\n", std::string(30, ' '));
    }
    absl::StrAppend(&text, help, "\n");
  };
  for (const Flag& flag : flags_) {
    add(absl::StrCat("--", flag.name, flag.may_have, flag.value_name.empty() ? "" : " ",
                     flag.value_name),
        absl::StrCat(flag.help, flag.default_text.empty()
                                    ? ""
                                    : absl::StrCat(" (default: ", flag.default_text, ")")));
  }
  if (Find("help") == nullptr) add("--help", "Prints this.");
  if (!version_.empty()) add("--version", "Prints the version.");
  if (!example_.empty()) absl::StrAppend(&text, "\nExample:\n  ", example_, "\n");
  return text;
}

}  // namespace sallyport
