#include "cli/file_flags.h"

#include <cstdio>
#include <utility>

namespace sallyport::cli {

void FileFlags::AddTo(FlagSet* flags) {
  flags->StringList("file", &paths, "FILE",
                    "A policy file (YAML), `-` for stdin; -f FILE is the same. Required, "
                    "repeatable.");
}

Arguments FileFlags::Spelled(Arguments arguments) {
  for (std::string& argument : arguments) {
    if (argument == "-f") argument = "--file";
  }
  return arguments;
}

std::optional<PolicyFile> FileFlags::Read(const std::string& command) const {
  if (paths.empty()) {
    WrongUsage(command, "say which policy file with -f FILE");
    return std::nullopt;
  }
  absl::StatusOr<PolicyFile> file = ReadPolicyFiles(paths);
  if (file.ok()) return *std::move(file);
  // Lines that editors and CI systems take for places in files.
  std::fprintf(stderr, "%s\n", std::string(file.status().message()).c_str());
  return std::nullopt;
}

}  // namespace sallyport::cli
