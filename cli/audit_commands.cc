// What left the containers of this host.

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <optional>

#include "cli/audit/follower.h"
#include "cli/audit/record_reader.h"
#include "cli/command.h"
#include "cli/run/audit_printer.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

struct TailFlags {
  std::string file = kDefaultAuditFile;
  std::string container_id;
  std::string class_name;
  bool denied = false;
  bool follow = true;
  bool json = false;
  int64_t lines = 10;

  void AddTo(FlagSet* flags) {
    flags->String("audit", &file, "FILE", "Where this host's agent records.");
    flags->String("container", &container_id, "ID", "Only this container.");
    flags->String("class", &class_name, "NAME", "Only containers of this class.");
    flags->Bool("denied", &denied, "Only what was refused, or would be but for monitor mode.");
    flags->Int("lines", &lines, 0, 1'000'000, "N",
               "How many of the records that are there to print first, of the last 4 MiB.");
    flags->Bool("follow", &follow, "Go on with what comes, until Ctrl-C; --follow=false does not.");
    flags->Bool("json", &json, "Print records as they are: JSON lines.");
  }

  bool Wants(const v1::AuditRecord& record) const {
    if (!container_id.empty() && record.container_id() != container_id) return false;
    if (!class_name.empty() && record.class_name() != class_name) return false;
    return !denied || record.decision() == "deny" || !record.would_deny().empty();
  }
  // nullopt: not wanted, or no record.
  std::optional<std::string> Line(const std::string& line) const {
    const std::optional<v1::AuditRecord> record = ParseAuditRecord(line);
    if (!record.has_value() || !Wants(*record)) return std::nullopt;
    if (json) return line;
    return StrCat(FormatAuditLine(line), "   ", record->container_id());
  }
};

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int Tail(const Arguments& arguments) {
  FlagSet flags(
      "sallyport audit tail",
      "Prints the last audit records of this host's containers, and those that come. Goes "
      "on through log rotation.");
  flags.set_example("sallyport audit tail --denied --container web-1");
  TailFlags options;
  options.AddTo(&flags);
  flags.ParseOrExit(arguments);
  if (access(options.file.c_str(), R_OK) != 0)
    return WrongUsage("audit tail",
                      StrCat("cannot read ", options.file, "; say which file with --audit"));
  absl::StatusOr<FileFollower> file = FileFollower::Open(options.file);
  if (!file.ok()) return WrongUsage("audit tail", std::string(file.status().message()));

  std::deque<std::string> backlog;
  for (const std::string& line : file->Read()) {
    std::optional<std::string> wanted = options.Line(line);
    if (wanted.has_value()) backlog.push_back(*std::move(wanted));
    if (backlog.size() > static_cast<size_t>(options.lines)) backlog.pop_front();
  }
  for (const std::string& line : backlog) Print(line);
  if (!options.follow) return kDone;
  // Each line is flushed, so there is nothing to lose.
  signal(SIGINT, [](int) { _exit(kDone); });
  while (true) {
    pollfd wait = {file->wait_fd(), POLLIN, 0};
    if (poll(&wait, 1, -1) < 0 && errno != EINTR) return kRefused;
    for (const std::string& line : file->Read()) {
      if (const std::optional<std::string> wanted = options.Line(line)) Print(*wanted);
    }
  }
}

}  // namespace

void AddAuditCommands(std::vector<Command>* commands) {
  commands->push_back({"audit tail", "Prints audit records of this host as they come.", Tail});
}

}  // namespace sallyport::cli
