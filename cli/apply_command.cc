// Policy from files into the control plane.

#include <algorithm>
#include <memory>

#include "absl/strings/str_format.h"
#include "cli/apply.h"
#include "cli/command.h"
#include "cli/file_flags.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

void Print(const v1::ApplyPolicyResponse& response) {
  size_t width = 0;
  for (const v1::PolicyChange& change : response.changes())
    width = std::max(width, Describe(change.key()).size());
  int changed = 0;
  for (const v1::PolicyChange& change : response.changes()) {
    if (change.kind() == v1::PolicyChange::UNCHANGED) continue;
    ++changed;
    std::printf("%-*s  %s\n", static_cast<int>(width), Describe(change.key()).c_str(),
                change.kind() == v1::PolicyChange::CREATED ? "created" : "updated");
  }
  const int unchanged = response.changes_size() - changed;
  if (changed == 0) {
    std::printf("nothing changed, %d unchanged   revision %llu\n", unchanged,
                static_cast<unsigned long long>(response.result().revision()));
  } else {
    std::printf("%d changed, %d unchanged   %s\n", changed, unchanged,
                Describe(response.result()).c_str());
  }
}

int Apply(const Arguments& arguments) {
  FlagSet flags("sallyport apply",
                "Makes the control plane hold what policy files say, all of it or nothing: "
                "registers handlers, applies classes, sets the rules of containers. What the "
                "files do not name stays as it is.");
  flags.set_example("sallyport apply -f agent.yaml");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags mutation;
  FileFlags files;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  mutation.AddTo(&flags);
  files.AddTo(&flags);
  flags.ParseOrExit(FileFlags::Spelled(arguments));
  v1::MutationOptions options;
  if (!wait.ToOptions(&options) || !mutation.ToOptions(&options)) return kUsage;
  const std::optional<PolicyFile> file = files.Read("apply");
  if (!file.has_value()) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  v1::ApplyPolicyResponse response;
  const int exit = ApplyPolicyFile(connection, *file, ApplyMode::kApply, options, &response);
  if (exit != kDone) return exit;
  for (const std::string& warning : response.warnings())
    std::fprintf(stderr, "warning: %s\n", WithPlaces(*file, warning).c_str());
  if (common.json) {
    PrintJson(response);
  } else {
    Print(response);
  }
  return kDone;
}

}  // namespace

void AddApplyCommand(std::vector<Command>* commands) {
  commands->push_back({"apply", "Applies policy files, all or nothing.", Apply});
}

}  // namespace sallyport::cli
