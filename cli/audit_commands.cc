// What left the containers.

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <optional>

#include "cli/audit/follower.h"
#include "cli/audit/record_reader.h"
#include "cli/audit_follow.h"
#include "cli/command.h"
#include "cli/run/audit_printer.h"
#include "common/audit/filter.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

struct TailFlags {
  CommonFlags common;
  std::string file;
  std::string container_id;
  std::string class_name;
  bool denied = false;
  bool follow = true;
  int64_t lines = 10;

  void AddTo(FlagSet* flags) {
    common.AddTo(flags);
    flags->String("container", &container_id, "ID", "Only this container.");
    flags->String("class", &class_name, "NAME", "Only containers of this class.");
    flags->Bool("denied", &denied, "Only what was refused, or would be but for monitor mode.");
    flags->String("audit", &file, "FILE",
                  StrCat("Read the file of this host's agent (", kDefaultAuditFile,
                         ") in place of asking the control plane."));
    flags->Int("lines", &lines, 0, 1'000'000, "N",
               "With --audit: how many of the records that are there to print first, of the last "
               "4 MiB.");
    flags->Bool("follow", &follow,
                "Go on with what comes, until Ctrl-C; --follow=false, with --audit, does not.");
  }
  v1::AuditFilter Filter() const {
    v1::AuditFilter wanted;
    wanted.set_container_id(container_id);
    wanted.set_class_name(class_name);
    wanted.set_denied(denied);
    return wanted;
  }
};

// nullopt: not wanted, or no record.
std::optional<std::string> LineOf(const std::string& line, const v1::AuditFilter& filter,
                                  bool json) {
  const std::optional<v1::AuditRecord> record = ParseAuditRecord(line);
  if (!record.has_value() || !Wants(filter, *record)) return std::nullopt;
  return json ? line : StrCat(FormatAuditRecord(*record), "   ", record->container_id());
}

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

int TailFile(const TailFlags& options) {
  if (access(options.file.c_str(), R_OK) != 0)
    return WrongUsage("audit tail", StrCat("cannot read ", options.file));
  absl::StatusOr<FileFollower> file = FileFollower::Open(options.file);
  if (!file.ok()) return WrongUsage("audit tail", std::string(file.status().message()));

  const v1::AuditFilter filter = options.Filter();
  std::deque<std::string> backlog;
  for (const std::string& line : file->Read()) {
    std::optional<std::string> wanted = LineOf(line, filter, options.common.json);
    if (wanted.has_value()) backlog.push_back(*std::move(wanted));
    if (backlog.size() > static_cast<size_t>(options.lines)) backlog.pop_front();
  }
  for (const std::string& line : backlog) Print(line);
  if (!options.follow) return kDone;
  while (true) {
    pollfd wait = {file->wait_fd(), POLLIN, 0};
    if (poll(&wait, 1, -1) < 0 && errno != EINTR) return kRefused;
    for (const std::string& line : file->Read()) {
      if (const auto wanted = LineOf(line, filter, options.common.json)) Print(*wanted);
    }
  }
}

int Tail(const Arguments& arguments) {
  FlagSet flags("sallyport audit tail",
                "Prints audit records as they come, of any host's containers, until Ctrl-C. With "
                "--audit those of this host, the last ones first; goes on through log rotation.");
  flags.set_example("sallyport audit tail --denied --container web-1");
  TailFlags options;
  options.AddTo(&flags);
  flags.ParseOrExit(arguments);
  // Each line is flushed, so there is nothing to lose.
  signal(SIGINT, [](int) { _exit(kDone); });
  if (!options.file.empty()) return TailFile(options);
  if (!options.follow) {
    return WrongUsage("audit tail",
                      "the control plane has only what comes; --follow=false needs --audit FILE");
  }
  return FollowAudit(options.common, options.Filter());
}

}  // namespace

void AddAuditCommands(std::vector<Command>* commands) {
  commands->push_back({"audit tail", "Prints audit records as they come.", Tail});
}

}  // namespace sallyport::cli
