// --file of the commands that read policy files.

#ifndef SALLYPORT_CLI_FILE_FLAGS_H_
#define SALLYPORT_CLI_FILE_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/policy/policy_file.h"
#include "common/flags/flags.h"

namespace sallyport::cli {

struct FileFlags {
  std::vector<std::string> paths;

  void AddTo(FlagSet* flags);
  // `-f` is how most people spell it.
  static Arguments Spelled(Arguments arguments);
  // nullopt: what is wrong with the files was said on stderr.
  std::optional<PolicyFile> Read(const std::string& command) const;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_FILE_FLAGS_H_
