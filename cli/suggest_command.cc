// An allow list from what containers were seen to do.

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_join.h"
#include "cli/audit/record_reader.h"
#include "cli/command.h"
#include "cli/suggest/seen.h"
#include "cli/suggest/suggestion.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

struct SuggestFlags {
  CommonFlags common;
  SeenHosts::Options seen;
  std::vector<std::string> files;
  bool generalise = false;
  bool offline = false;
  int64_t at_least = 3;

  void AddTo(FlagSet* flags) {
    common.AddTo(flags);
    flags->String("class", &seen.class_name, "NAME", "The class. Required.");
    flags->String("container", &seen.container_id, "ID", "Only what this container did.");
    flags->StringList("audit", &files, "FILE",
                      StrCat("Audit records, `-` for stdin. Repeatable. Default: ",
                             kDefaultAuditFile, " and its rotated files."));
    flags->Bool("denied", &seen.with_denied,
                "Cover also what was refused because nothing permitted it.");
    flags->Bool("generalise", &generalise,
                "Put *.PARENT for hosts that share a parent, unless anybody can register names "
                "under it.");
    flags->Int("at-least", &at_least, 2, 1'000'000, "N",
               "How many hosts have to share a parent for --generalise.");
    flags->Bool("offline", &offline,
                "Do not ask the control plane for the class: print nothing of it but the list.");
  }
};

// Exit status, and errors on stderr.
int ReadRecords(const SuggestFlags& flags, SeenHosts* seen) {
  const std::vector<std::string> files =
      flags.files.empty() ? WithRotated(kDefaultAuditFile) : flags.files;
  RecordReader reader;
  for (const std::string& path : files) {
    const absl::Status status =
        reader.ReadFile(path, [&](const v1::AuditRecord& record) { seen->Add(record); });
    if (!status.ok()) return WrongUsage("suggest", std::string(status.message()));
  }
  const RecordReader::Counts& counts = reader.counts();
  if (counts.unreadable > 0)
    std::fprintf(stderr, "%s\n",
                 StrCat("note: ", counts.unreadable, " lines are no audit records").c_str());
  if (counts.torn > 0)
    std::fprintf(
        stderr, "%s\n",
        StrCat("note: ", counts.torn, " records were cut off at the end of a file").c_str());
  return kDone;
}

void NoteHosts(const char* what, const std::set<std::string>& hosts) {
  if (hosts.empty()) return;
  std::fprintf(stderr, "note: %s: %s\n", what, absl::StrJoin(hosts, ", ").c_str());
}

// The class as stored, or only its name. nullopt: reported, with the exit status.
std::optional<v1::ContainerClass> StoredClass(const SuggestFlags& flags, int* exit) {
  v1::ContainerClass value;
  value.set_name(flags.seen.class_name);
  if (flags.offline) return value;
  const Connection connection(Connection::Server::kControlPlane, flags.common);
  v1::GetClassRequest request;
  request.set_name(flags.seen.class_name);
  v1::GetClassResponse response;
  const grpc::Status status = v1::OutboundPolicy::NewStub(connection.channel())
                                  ->GetClass(ContextFor().get(), request, &response);
  if (status.ok()) return response.class_();
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    std::fprintf(stderr, "note: the control plane has no class %s\n", value.name().c_str());
    return value;
  }
  *exit = connection.Report(status);
  if (*exit == kUnreachable)
    std::fprintf(stderr, "sallyport: --offline does without it, and prints only the list\n");
  return std::nullopt;
}

int Suggest(const Arguments& arguments) {
  FlagSet flags(
      "sallyport suggest",
      "Prints the smallest allow list that covers what containers of a class were seen to "
      "reach, as a policy file with the class's other fields as they are. For classes "
      "with `monitor: true`, where what would be refused passes and is recorded. Hosts "
      "that denied_hosts refuses are left out.");
  flags.set_example(
      "sallyport suggest --class untrusted-agent --generalise > agent.yaml && sallyport diff -f "
      "agent.yaml");
  SuggestFlags options;
  options.AddTo(&flags);
  flags.ParseOrExit(arguments);
  if (options.seen.class_name.empty()) return WrongUsage("suggest", "say which class with --class");
  SeenHosts seen(options.seen);
  if (const int exit = ReadRecords(options, &seen); exit != kDone) return exit;
  NoteHosts("refused, and not in the list; --denied puts them in", seen.only_denied());
  NoteHosts("refused by denied_hosts, and not in the list", seen.only_under_denied_hosts());
  if (seen.hosts().empty()) {
    // An empty list would allow nothing: nobody should apply that by accident.
    std::fprintf(stderr, "%s\n",
                 StrCat("sallyport: no host to allow in ", seen.records(), " records of class ",
                        options.seen.class_name)
                     .c_str());
    return kRefused;
  }
  int exit = kDone;
  const std::optional<v1::ContainerClass> stored = StoredClass(options, &exit);
  if (!stored.has_value()) return exit;
  std::optional<size_t> at_least;
  if (options.generalise) at_least = static_cast<size_t>(options.at_least);
  const std::vector<AllowEntry> list = SmallestAllowList(seen.hosts(), at_least);
  if (options.common.json) {
    v1::ApplyPolicyRequest policy;
    *policy.add_classes() = WithAllowList(*stored, list);
    PrintJson(policy);
    return kDone;
  }
  std::printf("# %s\n%s",
              StrCat(seen.hosts().size(), " hosts in ", seen.records(), " records").c_str(),
              SuggestionYaml(*stored, list).c_str());
  return kDone;
}

}  // namespace

void AddSuggestCommand(std::vector<Command>* commands) {
  commands->push_back({"suggest", "Prints an allow list that covers what was seen.", Suggest});
}

}  // namespace sallyport::cli
