#include "cli/doctor/doctor.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "cli/command.h"
#include "cli/doctor/host.h"
#include "cli/doctor/runtimes.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::cli {
namespace {

constexpr char kSummary[] =
    "Checks what Sallyport needs of this host, the agent and its link to the control plane, and "
    "says what to do about each\nproblem. With --inside, to be run in a container: sends a request "
    "of each program and language that it finds (curl, wget,\ngit, openssl, Python, Node, Java) to "
    "--url, and says what to set for those that do not trust the interception. In a\nsandbox of "
    "its own: `sallyport run --allow HOST --intercept-https -- sallyport doctor --inside --url "
    "https://HOST/`.\nExit status: 0 all is well, 1 something is not.";

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

int Doctor(const Arguments& arguments) {
  FlagSet flags("sallyport doctor", kSummary);
  flags.set_example("sallyport doctor");
  CommonFlags common;
  bool inside = false;
  std::string url;
  flags.Bool("inside", &inside, "Check the programs of the container that this runs in.");
  flags.String("url", &url, "URL",
               "With --inside: an https:// URL that the container may reach, and whose HTTPS is "
               "decrypted.");
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  if (inside == url.empty()) return WrongUsage("doctor", "--inside and --url go together");

  std::vector<Finding> findings;
  if (inside) {
    const absl::StatusOr<CheckUrl> parsed = ParseCheckUrl(url);
    if (!parsed.ok()) return WrongUsage("doctor --url", std::string(parsed.status().message()));
    findings = CheckRuntimes(*parsed);
  } else {
    findings = CheckHost();
    for (Finding& finding : CheckServices(common)) findings.push_back(std::move(finding));
  }
  if (common.json) {
    PrintFindingsAsJson(findings);
  } else {
    Print(findings);
  }
  return std::all_of(findings.begin(), findings.end(), [](const Finding& f) { return f.good; })
             ? kDone
             : kRefused;
}

}  // namespace

void AddDoctorCommand(std::vector<Command>* commands) {
  commands->push_back({"doctor", "Finds out what is wrong, and says what to do.", Doctor});
}

}  // namespace sallyport::cli
