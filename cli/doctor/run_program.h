// Another program's end and output.

#ifndef SALLYPORT_CLI_DOCTOR_RUN_PROGRAM_H_
#define SALLYPORT_CLI_DOCTOR_RUN_PROGRAM_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::cli {

struct ProgramEnd {
  int status = 0;      // 128 + N after signal N.
  std::string output;  // Both streams; of a longer one the first 64 KiB.
};

// Runs `arguments[0]`, which is looked for in PATH, without input. DEADLINE_EXCEEDED if it has not
// ended after `time`; it is killed then, with what it has started.
absl::StatusOr<ProgramEnd> RunProgram(const std::vector<std::string>& arguments,
                                      std::chrono::milliseconds time);

// Whether PATH leads to the program.
bool HasProgram(const std::string& name);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DOCTOR_RUN_PROGRAM_H_
