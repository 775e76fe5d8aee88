// Policy from a file.

#include <memory>

#include "cli/apply.h"
#include "cli/command.h"
#include "cli/policy_file.h"

namespace sallyport::cli {
namespace {

int Apply(const Arguments& arguments) {
  FlagSet flags("sallyport apply",
                "Applies a policy file: registers its handlers, applies its classes, and sets the "
                "rules of its containers.");
  flags.set_example("sallyport apply --file agent.yaml");
  CommonFlags common;
  WaitFlags wait;
  std::string path;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  flags.String("file", &path, "FILE", "The policy (YAML). Required; -f FILE is the same.");
  Arguments spelled = arguments;
  for (std::string& argument : spelled) {
    if (argument == "-f") argument = "--file";
  }
  flags.ParseOrExit(spelled);
  if (path.empty()) return WrongUsage("apply", "--file is missing");
  absl::StatusOr<PolicyFile> file = ReadPolicyFile(path);
  if (!file.ok()) {
    std::fprintf(stderr, "sallyport: %s\n", std::string(file.status().message()).c_str());
    return kUsage;
  }
  v1::MutationOptions options;
  if (!wait.ToOptions(&options)) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  return ApplyPolicyFile(connection, *file, options,
                         [&](const std::string& what, const v1::MutationResult& result) {
                           if (common.json) {
                             PrintJson(result);
                           } else {
                             std::printf("%s   %s\n", what.c_str(), Describe(result).c_str());
                           }
                         });
}

}  // namespace

void AddFileCommands(std::vector<Command>* commands) {
  commands->push_back({"apply", "Applies a policy file.", Apply});
}

}  // namespace sallyport::cli
