// What applying policy files would change.

#include <optional>

#include "cli/apply.h"
#include "cli/command.h"
#include "cli/diff/line_diff.h"
#include "cli/file_flags.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

// As diff(1) and `kubectl diff` have it.
constexpr int kSame = 0;
constexpr int kDiffers = 1;
constexpr int kTrouble = 2;

// As in a policy file; empty for what is not there.
std::string Text(const v1::Resource& resource) {
  switch (resource.value_case()) {
    case v1::Resource::kHandler:
      return yaml::Print(ToYaml(resource.handler()));
    case v1::Resource::kClass:
      return yaml::Print(ToYaml(resource.class_()));
    case v1::Resource::kContainer:
      return yaml::Print(ToYaml(resource.container()));
    case v1::Resource::kSecret:  // In no policy file.
    case v1::Resource::VALUE_NOT_SET:
      break;
  }
  return "";
}

void Print(const v1::PolicyChange& change) {
  const std::string name = Describe(change.key());
  const bool created = change.kind() == v1::PolicyChange::CREATED;
  std::printf("--- %s, %s\n+++ %s, as in the file\n%s", name.c_str(),
              created ? "not there" : StrCat("revision ", change.before().revision()).c_str(),
              name.c_str(), UnifiedDiff(Text(change.before()), Text(change.after())).c_str());
}

int Diff(const Arguments& arguments) {
  FlagSet flags("sallyport diff",
                "Shows what `sallyport apply` would change, and changes nothing. Exit status, as "
                "diff(1) and `kubectl diff` have it: 0 nothing would change, 1 something would, 2 "
                "wrong usage, an error in a file, or refused by the server, 3 cannot reach the "
                "server. Differences are on stdout, errors on stderr.");
  flags.set_example("sallyport diff -f agent.yaml");
  CommonFlags common;
  FileFlags files;
  common.AddTo(&flags);
  files.AddTo(&flags);
  flags.ParseOrExit(FileFlags::Spelled(arguments));
  const std::optional<PolicyFile> file = files.Read("diff");
  if (!file.has_value()) return kTrouble;
  const Connection connection(Connection::Server::kControlPlane, common);
  v1::ApplyPolicyResponse response;
  const int exit =
      ApplyPolicyFile(connection, *file, ApplyMode::kDryRun, v1::MutationOptions(), &response);
  if (exit != kDone) return exit == kUnreachable ? kUnreachable : kTrouble;
  for (const std::string& warning : response.warnings())
    std::fprintf(stderr, "warning: %s\n", WithPlaces(*file, warning).c_str());
  if (common.json) PrintJson(response);
  bool differs = false;
  for (const v1::PolicyChange& change : response.changes()) {
    if (change.kind() == v1::PolicyChange::UNCHANGED) continue;
    differs = true;
    if (!common.json) Print(change);
  }
  return differs ? kDiffers : kSame;
}

}  // namespace

void AddDiffCommand(std::vector<Command>* commands) {
  commands->push_back({"diff", "Shows what `apply` would change.", Diff});
}

}  // namespace sallyport::cli
