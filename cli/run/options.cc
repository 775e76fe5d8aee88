#include "cli/run/options.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cli/output.h"
#include "cli/run/exit_status.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

constexpr char kSummary[] =
    "Runs a command in a sandbox whose only way out is Sallyport: network, process and IPC "
    "namespaces of its own. Starts a control\n"
    "plane and an agent for as long as the command runs, if none runs already. The file system is "
    "the host's, save for /run and\n"
    "/proc: use a container where that matters. An ordinary user needs a kernel that gives user "
    "namespaces.\n"
    "--explicit-proxy runs it without a sandbox: what takes HTTP_PROXY from its environment is "
    "held "
    "to the policy, and nothing keeps\n"
    "a process from going around it. Exit status: the command's own (128+N after signal N), 125 "
    "Sallyport failed,\n"
    "126 cannot execute, 127 not found.";

[[noreturn]] void Refuse(const std::string& message) {
  std::fprintf(stderr, "sallyport run: %s; see `sallyport run --help`\n", message.c_str());
  std::exit(kSallyportFailed);
}

}  // namespace

RunOptions RunOptions::ParseOrExit(const std::vector<std::string>& arguments) {
  RunOptions options;
  FlagSet flags("sallyport run", kSummary, Positional::kStopsAtTheFirst);
  flags.set_arguments("-- COMMAND [ARGUMENT…]");
  flags.set_example(
      "sallyport run --allow 'registry.pkgs.example' --allow '*.github.com' --verbose -- npm ci");
  flags.StringList("allow", &options.allow, "HOST", "Only these hosts may be reached. Repeatable.");
  flags.StringList("deny", &options.deny, "HOST", "Never these. Repeatable.");
  flags.Bool("no-internet", &options.no_internet, "Nothing may be reached that is not allowed.");
  flags.Bool("intercept-https", &options.intercept_https,
             "Decrypt HTTPS where there is something to decide inside.");
  flags.String("policy", &options.policy_file, "FILE",
               "Apply this policy file first, and use its class.");
  flags.String(
      "class", &options.class_name, "NAME",
      "Use this class of the control plane or of the policy file. Default: one of its own, "
      "run-RANDOM, deleted when the command ends.");
  flags.String("id", &options.id, "ID", "The container's id. Made up by default.");
  std::string params;
  flags.String("params", &params, "JSON",
               "A JSON object that its handlers get beside the rules' params.");
  flags.Bool("explicit-proxy", &options.explicit_proxy,
             "No sandbox: set HTTP_PROXY and the like. A process can go around it.");
  flags.String("listen", &options.listen, "ADDRESS:PORT",
               "Where the explicit proxy listens. Default: a free port of 127.0.0.1.");
  flags.StringList("env", &options.environment, "NAME=VALUE",
                   "Add to the command's environment. Repeatable.");
  flags.String("audit", &options.audit_file, "FILE",
               "Append the audit records to this file, as JSON lines.");
  flags.Bool("verbose", &options.verbose,
             "Print each decision on stderr; with --json as JSON lines.");
  flags.StringList(
      "resolver", &options.resolvers, "ADDRESS",
      "Resolvers for an agent that is started for this. Default: those of /etc/resolv.conf.");
  flags.StringList("open-range", &options.open_ranges, "CIDR",
                   "Open this private range, in an agent that is started for this.");
  flags.String(
      "origin-roots", &options.origin_roots, "FILE",
      "Verify origins with these certificates (PEM), in an agent that is started for this.");
  options.common.AddTo(&flags);

  const auto parsed = flags.Parse(arguments);
  if (!parsed.ok()) Refuse(std::string(parsed.status().message()));
  if (parsed->help) {
    std::printf("%s", flags.Help().c_str());
    std::exit(kDone);
  }
  options.command = parsed->positional;
  if (options.command.empty()) Refuse("there is no command to run; write it after `--`");
  const bool own_class = !options.allow.empty() || !options.deny.empty() || options.no_internet ||
                         options.intercept_https;
  if (own_class && (!options.class_name.empty() || !options.policy_file.empty())) {
    Refuse(
        "--allow, --deny, --no-internet and --intercept-https make a class of their own and do not "
        "go with --class or --policy");
  }
  absl::StatusOr<google::protobuf::Struct> parsed_params = ParseParams(params);
  if (!parsed_params.ok()) Refuse(std::string(parsed_params.status().message()));
  options.params = *std::move(parsed_params);
  if (!options.listen.empty() && !options.explicit_proxy)
    Refuse("--listen goes with --explicit-proxy");
  for (const std::string& text : options.environment) {
    if (text.find('=') == std::string::npos || text[0] == '=')
      Refuse(StrCat("--env ", text, " is not NAME=VALUE"));
  }
  if (options.id.empty()) options.id = StrCat("run-", getpid());
  return options;
}

}  // namespace sallyport::cli
