// Policy tests.

#include <google/protobuf/struct.pb.h>

#include <chrono>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "common/base/strings.h"
#include "common/cases/case_reader.h"
#include "common/cases/play.h"

namespace sallyport::cli {
namespace {

struct Tally {
  size_t cases = 0;
  size_t failed = 0;
  google::protobuf::ListValue failures;  // With --json.
};

void PrintFailure(const std::string& path, const cases::Case& c, const cases::Played& played) {
  std::printf("%s:%d:%d: case %s\n", path.c_str(), c.line, c.column, c.id.c_str());
  for (const std::string& difference : played.differences) {
    std::printf("    %s\n", difference.c_str());
  }
  if (!played.why.empty()) std::printf("    %s\n", played.why.c_str());
}

void AddFailure(const std::string& path, const cases::Case& c, const cases::Played& played,
                Tally* tally) {
  auto& fields = *tally->failures.add_values()->mutable_struct_value()->mutable_fields();
  fields["file"].set_string_value(path);
  fields["line"].set_number_value(c.line);
  fields["column"].set_number_value(c.column);
  fields["id"].set_string_value(c.id);
  fields["expected"].set_string_value(c.expect.outcome);
  fields["got"].set_string_value(played.outcome.outcome);
  fields["why"].set_string_value(played.why);
  auto* differences = fields["differences"].mutable_list_value();
  for (const std::string& difference : played.differences) {
    differences->add_values()->set_string_value(difference);
  }
}

// An error: the file cannot be read to its end.
absl::Status PlayFile(const std::string& path, bool json, Tally* tally) {
  absl::StatusOr<std::string> text = cases::ReadFile(path);
  if (!text.ok()) return text.status();
  cases::CaseReader reader(path, *std::move(text));
  while (true) {
    const absl::StatusOr<std::optional<cases::Case>> next = reader.Next();
    if (!next.ok()) return next.status();
    if (!next->has_value()) return absl::OkStatus();
    const cases::Played played = cases::Play(**next);
    ++tally->cases;
    if (played.differences.empty()) continue;
    ++tally->failed;
    if (json) {
      AddFailure(path, **next, played, tally);
    } else {
      PrintFailure(path, **next, played);
    }
  }
}

void PrintSummary(const Tally& tally, size_t files, bool json) {
  if (json) {
    google::protobuf::Struct summary;
    auto& fields = *summary.mutable_fields();
    fields["cases"].set_number_value(static_cast<double>(tally.cases));
    fields["failed"].set_number_value(static_cast<double>(tally.failed));
    *fields["failures"].mutable_list_value() = tally.failures;
    PrintJson(summary);
    return;
  }
  std::printf("%zu of %zu cases pass, in %zu %s\n", tally.cases - tally.failed, tally.cases, files,
              files == 1 ? "file" : "files");
}

int Test(const Arguments& arguments) {
  FlagSet flags(
      "sallyport test",
      "Plays cases against the decision engine, offline, and says which come to something "
      "else than they expect. Exit status: 0 all pass, 1 a case fails, 2 a file cannot be "
      "read. The format is that of docs/policy-tests.md.",
      Positional::kAnywhere);
  flags.set_arguments("FILE...");
  flags.set_example("sallyport test policy_cases.json");
  bool json = false;
  flags.Bool("json", &json, "Print one JSON object.");
  const std::vector<std::string> files = flags.ParseOrExit(arguments);
  if (files.empty()) return WrongUsage("test", "a file of cases is missing");
  Tally tally;
  for (const std::string& path : files) {
    const absl::Status played = PlayFile(path, json, &tally);
    if (played.ok()) continue;
    std::fprintf(stderr, "sallyport: %s\n", std::string(played.message()).c_str());
    return kUsage;
  }
  PrintSummary(tally, files.size(), json);
  return tally.failed == 0 ? kDone : 1;
}

}  // namespace

void AddTestCommand(std::vector<Command>* commands) {
  commands->push_back({"test", "Plays policy tests, offline.", Test});
}

}  // namespace sallyport::cli
