// What the examples share: `--name value` on the command line, and a line that says where they
// listen.

#ifndef SALLYPORT_EXAMPLES_FLAGS_H_
#define SALLYPORT_EXAMPLES_FLAGS_H_

#include <cstdio>
#include <map>
#include <string>

namespace examples {

// Values by name, "--listen" and the like; filled with defaults beforehand.
using Flags = std::map<std::string, std::string>;

// False for a name that is not in `flags`, or one without a value. Both "--name value" and
// "--name=value" will do.
inline bool ParseFlags(int argc, char** argv, Flags* flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const auto found = flags->find(argument.substr(0, equals));
    if (found == flags->end()) return false;
    if (equals != argument.npos) {
      found->second = argument.substr(equals + 1);
    } else if (i + 1 < argc) {
      found->second = argv[++i];
    } else {
      return false;
    }
  }
  return true;
}

// With port 0 it is this line that tells the port.
inline void PrintAddress(const std::string& address) {
  std::printf("listening on %s\n", address.c_str());
  std::fflush(stdout);
}

}  // namespace examples

#endif  // SALLYPORT_EXAMPLES_FLAGS_H_
