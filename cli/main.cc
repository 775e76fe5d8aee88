// sallyport: every call of the API as a command, and `run`.

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/completion_command.h"
#include "cli/doctor/doctor.h"
#include "cli/nearest.h"
#include "cli/proxy_commands.h"
#include "common/base/log.h"
#include "common/base/version.h"

namespace sallyport::cli {
namespace {

std::vector<Command> AllCommands() {
  std::vector<Command> commands;
  AddRunCommand(&commands);
  AddApplyCommand(&commands);
  AddDiffCommand(&commands);
  AddExportCommand(&commands);
  AddExplainCommand(&commands);
  AddWatchCommands(&commands);
  AddSuggestCommand(&commands);
  AddAuditCommands(&commands);
  AddClassCommands(&commands);
  AddHandlerCommands(&commands);
  AddSecretCommands(&commands);
  AddIdentityCommands(&commands);
  AddContainerCommands(&commands);
  AddMutationCommands(&commands);
  AddTestCommand(&commands);
  AddStatusCommand(&commands);
  AddDoctorCommand(&commands);
  AddProxyCommands(&commands);
  AddPkiCommands(&commands);
  AddCompletionCommand(&commands);
  return commands;
}

void PrintHelp(const std::vector<Command>& commands) {
  std::printf(
      "Usage: sallyport COMMAND [FLAGS] [ARGUMENTS]\n\nControls what leaves a container. "
      "Commands:\n\n");
  for (const Command& command : commands)
    std::printf("  %-34s %s\n", command.name.c_str(), command.summary.c_str());
  std::printf(
      "\nEach has --help with an example, and --json. Exit status: 0 done, 1 refused by the "
      "server, 2 wrong usage,\n"
      "3 cannot reach the server; `run`: the command's own, 125 Sallyport failed, 126 cannot "
      "execute, 127 not found.\n");
}

int Unknown(const std::vector<Command>& commands, const std::string& typed) {
  std::vector<std::string_view> names;
  for (const Command& command : commands) names.push_back(command.name);
  std::fprintf(
      stderr,
      "sallyport: there is no command `%s`; did you mean `%s`? `sallyport --help` lists all.\n",
      typed.c_str(), std::string(Nearest(typed, names)).c_str());
  return kUsage;
}

int Main(int argc, char** argv) {
  SetLogProgram("sallyport");
  const Arguments arguments(argv + 1, argv + argc);
  const std::vector<Command> commands = AllCommands();
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
    PrintHelp(commands);
    return arguments.empty() ? kUsage : kDone;
  }
  if (arguments[0] == "--version") {
    std::printf("sallyport %s\n", kVersion);
    return kDone;
  }
  // Two words first: `class apply`, `handler list`.
  for (size_t words = std::min<size_t>(2, arguments.size()); words > 0; --words) {
    const std::string typed = words == 2 ? arguments[0] + " " + arguments[1] : arguments[0];
    for (const Command& command : commands) {
      if (command.name == typed)
        return command.run(Arguments(arguments.begin() + words, arguments.end()));
    }
  }
  const bool two = arguments.size() > 1 && arguments[1].substr(0, 1) != "-";
  return Unknown(commands, two ? arguments[0] + " " + arguments[1] : arguments[0]);
}

}  // namespace
}  // namespace sallyport::cli

int main(int argc, char** argv) { return sallyport::cli::Main(argc, argv); }
