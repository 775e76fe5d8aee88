#include "cli/doctor/doctor.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "cli/command.h"
#include "cli/doctor/enter.h"
#include "cli/doctor/host.h"
#include "cli/doctor/runtimes.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::cli {
namespace {

constexpr char kSummary[] =
    "Checks what Sallyport needs of this host, the agent and its link to the control plane, and "
    "says what to do about each\nproblem. With --container, or --inside to be run in a container: "
    "sends a request of each program and language that it\nfinds there (curl, wget, busybox, git, "
    "openssl, Python, Node, Go, Java), and says what to set for those that do not\ntrust the "
    "interception. In a sandbox of its own: `sallyport run --class CLASS -- sallyport doctor "
    "--inside`.\nExit status: 0 all is well, 1 something is not.";

std::vector<Finding> CheckServices(const CommonFlags& flags) {
  const Connection agent(Connection::Server::kAgent, flags);
  v1::StatusResponse status;
  const grpc::Status call = v1::AgentControl::NewStub(agent.channel())
                                ->Status(ContextFor().get(), v1::StatusRequest(), &status);
  if (!call.ok()) {
    return {{"agent", false, StrCat(agent.address(), ": ", call.error_message()),
             "start it (`systemctl start sallyport-agent`), or name its socket with --agent"}};
  }
  std::vector<Finding> findings = {
      {"agent", true, StrCat(agent.address(), ", host ", status.host_name()), ""}};
  if (status.proxy_pid() > 0) {
    findings.push_back({"proxy", true, StrCat("process ", status.proxy_pid()), ""});
  } else {
    findings.push_back({"proxy", false, "does not run, so containers reach nothing",
                        "see the agent's log (`journalctl --unit sallyport-agent`)"});
  }
  if (status.control_plane_connected()) {
    findings.push_back({"its link", true, status.control_plane(), ""});
  } else {
    findings.push_back({"its link", false,
                        StrCat(status.control_plane(), ": ", status.control_plane_error()),
                        "the last known policy holds; see that sallyportd runs there, and the "
                        "agent's --control-plane and --tls-dir"});
  }
  return findings;
}

void Print(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    std::printf("%-7s  %-14s %s\n", finding.good ? "good" : "PROBLEM", finding.subject.c_str(),
                finding.detail.c_str());
    if (!finding.advice.empty()) std::printf("%25s%s\n", "-> ", finding.advice.c_str());
  }
}

void PrintFindingsAsJson(const std::vector<Finding>& findings) {
  google::protobuf::Struct all;
  auto* list = (*all.mutable_fields())["findings"].mutable_list_value();
  for (const Finding& finding : findings) {
    auto& fields = *list->add_values()->mutable_struct_value()->mutable_fields();
    fields["subject"].set_string_value(finding.subject);
    fields["good"].set_bool_value(finding.good);
    fields["detail"].set_string_value(finding.detail);
    fields["advice"].set_string_value(finding.advice);
  }
  PrintJson(all);
}

int Report(const std::vector<Finding>& findings, bool json) {
  if (json) {
    PrintFindingsAsJson(findings);
  } else {
    Print(findings);
  }
  return std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.good; })
             ? kDone
             : kRefused;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "sallyport doctor: %s\n", std::string(status.message()).c_str());
  return kRefused;
}

struct InsideFlags {
  std::string url = OwnCheckUrl();
  int64_t pid = 0;  // 0: here.
  bool json = false;
};

// In the container of a process by way of a copy of this program, which has no threads of gRPC's.
int CheckInside(const InsideFlags& flags) {
  const absl::StatusOr<CheckUrl> url = ParseCheckUrl(flags.url);
  if (!url.ok()) return WrongUsage("doctor --url", std::string(url.status().message()));
  const auto check = [&] { return Report(CheckRuntimes(*url), flags.json); };
  if (flags.pid == 0) return check();
  if (!RunsFromMemory()) {
    return Fail(
        RunFromMemory({"sallyport", "doctor", "--inside", "--pid", StrCat(flags.pid), "--url",
                       flags.url, StrCat("--json=", flags.json ? "true" : "false")}));
  }
  const absl::StatusOr<int> status = InContainerOf(static_cast<pid_t>(flags.pid), check);
  return status.ok() ? *status : Fail(status.status());
}

// 0, after a message: there is none.
int64_t ProcessOf(const std::string& container, const CommonFlags& flags) {
  const Connection agent(Connection::Server::kAgent, flags);
  v1::ListAttachedResponse attached;
  const grpc::Status call =
      v1::AgentControl::NewStub(agent.channel())->ListAttached(ContextFor().get(), {}, &attached);
  if (!call.ok()) {
    agent.Report(call);
    return 0;
  }
  for (const auto& one : attached.containers()) {
    if (one.container_id() != container) continue;
    if (one.pid() > 0) return one.pid();
    Fail(absl::FailedPreconditionError(
        StrCat(container,
               " is attached by the path of its namespace: name a process in it by "
               "`sallyport doctor --inside --pid PID`")));
    return 0;
  }
  Fail(absl::NotFoundError(StrCat("no container ", container,
                                  " is attached on this host; see `sallyport container list`")));
  return 0;
}

int Doctor(const Arguments& arguments) {
  FlagSet flags("sallyport doctor", kSummary);
  flags.set_example("sallyport doctor --container web-1");
  CommonFlags common;
  bool inside = false;
  std::string container;
  InsideFlags inside_flags;
  flags.Bool("inside", &inside, "Check the programs of the container that this runs in.");
  flags.String("container", &container, "ID",
               "Check the programs of an attached container from the host, as root.");
  flags.Int("pid", &inside_flags.pid, 0, INT32_MAX, "PID",
            "With --inside: the container is that of this process, seen from the host. 0: this "
            "one's.");
  flags.String("url", &inside_flags.url, "URL",
               "What the programs ask for: an https:// URL that the container may reach, and whose "
               "HTTPS is decrypted. The default is answered by Sallyport itself.");
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  inside_flags.json = common.json;
  if (!container.empty()) {
    if (inside)
      return WrongUsage("doctor", "--container is for the host, --inside for a container");
    inside_flags.pid = ProcessOf(container, common);
    return inside_flags.pid == 0 ? kRefused : CheckInside(inside_flags);
  }
  if (inside) return CheckInside(inside_flags);
  if (inside_flags.pid != 0 || inside_flags.url != OwnCheckUrl())
    return WrongUsage("doctor", "--url and --pid go with --inside or --container");

  std::vector<Finding> findings = CheckHost();
  for (Finding& finding : CheckServices(common)) findings.push_back(std::move(finding));
  return Report(findings, common.json);
}

}  // namespace

void AddDoctorCommand(std::vector<Command>* commands) {
  commands->push_back({"doctor", "Finds out what is wrong, and says what to do.", Doctor});
}

}  // namespace sallyport::cli
