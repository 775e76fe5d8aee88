// One run of the program sallyportd, of a test's runfiles.

#ifndef SALLYPORT_CONTROLPLANE_TESTING_PROGRAM_H_
#define SALLYPORT_CONTROLPLANE_TESTING_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/unique_fd.h"

namespace sallyport {

// stdout and stderr come back by one pipe. Killed when it is destroyed, if it still runs.
class Program {
 public:
  // `environment`: NAME=VALUE, besides the test's own.
  explicit Program(std::vector<std::string> arguments, std::vector<std::string> environment = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Up to the first occurrence of `end`, or the end of the output.
  std::string ReadTo(const std::string& end);
  std::string ReadAll() { return ReadTo(std::string(1, '\0')); }
  void Signal(int signal);
  // The exit status, or minus the signal.
  int Wait();

 private:
  pid_t pid_ = -1;
  UniqueFd output_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_TESTING_PROGRAM_H_
