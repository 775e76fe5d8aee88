// Command line flags: `--name value`, `--name=value`, bare `--name` for booleans, and the help text
// that goes with them.
//
//   Options options;
//   FlagSet flags("sallyportd", "The control plane.");
//   flags.String("state-dir", &options.state_dir, "DIR", "Where the store lives.");
//   flags.StringList("listen", &options.listen, "ADDRESS", "Where to listen. May be given more than
//   once."); flags.set_example("sallyportd --listen unix:/run/x.sock");
//   flags.set_version("sallyportd 0.1.0");
//   std::vector<std::string> rest = flags.ParseOrExit({argv + 1, argv + argc});
//
// What a target holds before parsing is its default, and is shown by --help.

#ifndef SALLYPORT_COMMON_FLAGS_FLAGS_H_
#define SALLYPORT_COMMON_FLAGS_FLAGS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport {

// What to do with arguments that are no flags. After `--` every argument is positional.
enum class Positional {
  kRefused,          // An error.
  kAnywhere,         // Collected; flags may follow them.
  kStopsAtTheFirst,  // The first one ends the flags: for programs that run another program.
};

// Not thread-safe. The targets must outlive the set.
class FlagSet {
 public:
  // `program` is what users type (`sallyport run`), `summary` a sentence or a paragraph.
  FlagSet(std::string_view program, std::string_view summary,
          Positional positional = Positional::kRefused);
  FlagSet(const FlagSet&) = delete;
  FlagSet& operator=(const FlagSet&) = delete;

  // `value_name` is how help names the value: `--state-dir DIR`.
  void String(std::string_view name, std::string* target, std::string_view value_name,
              std::string_view help);
  // Repeatable. The first use on the command line replaces the default.
  void StringList(std::string_view name, std::vector<std::string>* target,
                  std::string_view value_name, std::string_view help);
  // `--name`: empty; `--name=VALUE`. Never takes the next argument.
  void Optional(std::string_view name, std::optional<std::string>* target,
                std::string_view value_name, std::string_view help);
  // `--name`, `--name=true`, `--name=false`. Never takes the next argument.
  void Bool(std::string_view name, bool* target, std::string_view help);
  // Decimal, between `min` and `max`.
  void Int(std::string_view name, int64_t* target, int64_t min, int64_t max,
           std::string_view value_name, std::string_view help);
  // `5s`, `250ms`, `2m`; a bare `0` too. Never negative.
  void Duration(std::string_view name, std::chrono::milliseconds* target,
                std::string_view value_name, std::string_view help);

  // How positional arguments are named in the usage line, e.g. `CONTAINER HOST`.
  void set_arguments(std::string_view arguments) { arguments_ = arguments; }
  void set_example(std::string_view example) { example_ = example; }
  void set_version(std::string_view version) { version_ = version; }

  struct Parsed {
    std::vector<std::string> positional;
    bool help = false;
    bool version = false;
  };
  // INVALID_ARGUMENT with a sentence that names the flag and what to write instead. --help and
  // --version win over later errors.
  absl::StatusOr<Parsed> Parse(const std::vector<std::string>& arguments);

  // Parse, and: --help and --version print on stdout and exit 0; an error prints one line and a
  // hint on stderr and exits 2. Returns the positional arguments.
  std::vector<std::string> ParseOrExit(const std::vector<std::string>& arguments);

  std::string Help() const;

 private:
  struct Flag {
    std::string name;
    std::string value_name;  // Empty: it does not take the next argument.
    std::string help;
    std::string default_text;
    std::function<absl::Status(std::string_view value)> set;
    std::string bare = "true";  // What it is set to without a value.
    std::string may_have = "";  // "[=VALUE]"
  };

  void Add(Flag flag);
  const Flag* Find(std::string_view name) const;
  absl::Status Unknown(std::string_view name) const;
  absl::Status ParseFlag(const std::vector<std::string>& arguments, size_t* index, Parsed* parsed);

  const std::string program_;
  const std::string summary_;
  const Positional positional_;
  std::string arguments_;
  std::string example_;
  std::string version_;
  std::vector<Flag> flags_;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_FLAGS_FLAGS_H_
