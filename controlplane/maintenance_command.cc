#include "controlplane/maintenance_command.h"

#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/version.h"
#include "common/flags/flags.h"
#include "controlplane/maintenance_client.h"
#include "controlplane/store/backup.h"
#include "controlplane/store/offline.h"

namespace sallyport {
namespace {

constexpr char kDefaultAddress[] = "unix:/run/sallyport/controlplane.sock";

struct Options {
  std::string control_plane;
  std::string tls_dir;
  std::string state_dir;
  std::string file;
  bool force = false;
};

int Fail(std::string_view command, std::string_view message, int status) {
  std::fprintf(stderr, "sallyportd %s: %s\n", std::string(command).c_str(),
               std::string(message).c_str());
  if (status == 2) {
    std::fprintf(stderr, "Try: sallyportd %s --help\n", std::string(command).c_str());
  }
  return status;
}

absl::StatusOr<std::string> Backup(const Options& options) {
  if (options.state_dir.empty()) {
    ASSIGN_OR_RETURN(const LiveBackup backup, BackupLive(options.control_plane, options.tls_dir));
    RETURN_IF_ERROR(WriteBackupFile(options.file, backup.file,
                                    options.force ? Overwrite::kYes : Overwrite::kNo));
    return StrCat("backup of revision ", backup.revision, ", ", backup.file.size(), " bytes, in ",
                  options.file);
  }
  ASSIGN_OR_RETURN(const State state, ReadStateDir(options.state_dir));
  ASSIGN_OR_RETURN(const std::string file, MakeBackup(state));
  RETURN_IF_ERROR(
      WriteBackupFile(options.file, file, options.force ? Overwrite::kYes : Overwrite::kNo));
  return StrCat("backup of revision ", state.revision, ", ", file.size(), " bytes, in ",
                options.file);
}

absl::StatusOr<std::string> Restore(const Options& options) {
  ASSIGN_OR_RETURN(const std::string file, ReadBackupFile(options.file));
  Restored restored;
  if (options.state_dir.empty()) {
    ASSIGN_OR_RETURN(restored, RestoreLive(options.control_plane, file, options.tls_dir));
  } else {
    ASSIGN_OR_RETURN(const State backup, ReadBackup(file));
    ASSIGN_OR_RETURN(const State state, RestoreStateDir(options.state_dir, backup));
    restored = {state.revision, state.classes.size(), state.containers.size(),
                state.handlers.size()};
  }
  return StrCat("restored ", restored.classes, " classes, ", restored.containers, " containers, ",
                restored.handlers, " handlers; the store is at revision ", restored.revision);
}

}  // namespace

bool IsMaintenanceCommand(const std::vector<std::string>& arguments) {
  return !arguments.empty() && (arguments[0] == "backup" || arguments[0] == "restore");
}

int RunMaintenanceCommand(const std::vector<std::string>& arguments) {
  const std::string command = arguments[0];
  const bool backup = command == "backup";
  Options options;
  FlagSet flags(
      StrCat("sallyportd ", command),
      backup ? "Writes everything that the control plane stores to one file, while it goes on."
             : "Replaces everything that the control plane stores by what a backup holds, in one "
               "step: all of it or nothing. Agents then get everything anew; containers that the "
               "backup does not know reach nothing until they are attached anew.",
      Positional::kAnywhere);
  flags.String("control-plane", &options.control_plane, "ADDRESS",
               StrCat("Where sallyportd listens: unix:/PATH or HOST:PORT. Without this and "
                      "--state-dir: ",
                      kDefaultAddress, ", or SALLYPORT_CONTROL_PLANE."));
  flags.String("tls-dir", &options.tls_dir, "DIR",
               "tls.crt, tls.key, ca.crt of role admin, by which HOST:PORT is dialled.");
  flags.String("state-dir", &options.state_dir, "DIR",
               "Where its store lies, when no sallyportd runs.");
  if (backup) flags.Bool("force", &options.force, "Overwrite FILE if it is there.");
  flags.set_arguments("FILE");
  flags.set_example(StrCat("sallyportd ", command, " /var/backups/sallyport.db"));
  flags.set_version(StrCat("sallyportd ", kVersion));
  const std::vector<std::string> rest = flags.ParseOrExit({arguments.begin() + 1, arguments.end()});
  if (rest.size() != 1) return Fail(command, "name one FILE", 2);
  options.file = rest[0];
  if (!options.control_plane.empty() && !options.state_dir.empty()) {
    return Fail(command, "--control-plane and --state-dir exclude each other; give one", 2);
  }
  if (options.control_plane.empty()) {
    const char* const variable = std::getenv("SALLYPORT_CONTROL_PLANE");
    options.control_plane = variable != nullptr && *variable != '\0' ? variable : kDefaultAddress;
  }
  const absl::StatusOr<std::string> done = backup ? Backup(options) : Restore(options);
  if (!done.ok()) return Fail(command, ToStd(done.status().message()), 1);
  std::printf("%s\n", done->c_str());
  return 0;
}

}  // namespace sallyport
