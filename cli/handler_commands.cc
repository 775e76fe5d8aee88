// Handlers.

#include <memory>

#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/handler_lines.h"
#include "cli/policy/builtin_text.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::HandlerRegistry::Stub;

constexpr std::chrono::milliseconds kDefaultTimeout{30'000};
constexpr std::chrono::milliseconds kDefaultConnectTimeout{5'000};

int Register(const Arguments& arguments) {
  FlagSet flags(
      "sallyport handler register",
      "Says where a handler listens, or what the proxy does in its place; replaces an earlier "
      "registration.",
      Positional::kAnywhere);
  flags.set_arguments("NAME ENDPOINT… | NAME --builtin JSON");
  flags.set_example(
      "sallyport handler register authenticated-github grpc://127.0.0.1:7070 --timeout 5s "
      "--holds-secrets");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  // --timeout is the handler's own here.
  std::string on_failure = "deny";
  std::chrono::milliseconds timeout = kDefaultTimeout;
  std::string builtin;
  bool holds_secrets = false;
  std::chrono::milliseconds connect_timeout = kDefaultConnectTimeout;
  int64_t retries = 0;
  int64_t max_concurrency = 0;
  common.AddTo(&flags);
  options.AddTo(&flags);
  flags.Duration("timeout", &timeout, "DURATION",
                 "From a request's head until the handler's answer begins.");
  flags.String("on-failure", &on_failure, "deny|egress",
               "What happens to a request when the handler fails.");
  flags.String("builtin", &builtin, "JSON",
               "No service: what the proxy does by itself, as in docs/builtin-handlers.md, such as "
               "'{allow_methods: [GET, HEAD]}'.");
  flags.Bool("holds-secrets", &holds_secrets, "It adds credentials, and may never fail open.");
  flags.Duration("connect-timeout", &connect_timeout, "DURATION",
                 "How long an endpoint may take to accept a connection; then the next is tried.");
  flags.Int("retries", &retries, 0, 5, "N",
            "How often a call that failed is made again before anything of a body was sent; the "
            "handler may see a request twice.");
  flags.Int("max-concurrency", &max_concurrency, 0, 1'000'000, "N",
            "Calls that one container may have in flight; more are answered 503. 0: no limit.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (builtin.empty() ? words.size() < 2 : words.size() != 1)
    return WrongUsage("handler register",
                      "give a name and an endpoint such as grpc://127.0.0.1:7070, unix:/PATH or "
                      "http://127.0.0.1:8080, or a name and --builtin");
  if (!builtin.empty() && (timeout != kDefaultTimeout || on_failure != "deny" || retries != 0 ||
                           connect_timeout != kDefaultConnectTimeout || max_concurrency != 0)) {
    return WrongUsage("handler register",
                      "--timeout, --connect-timeout, --retries, --max-concurrency and --on-failure "
                      "are for services");
  }
  if (on_failure != "deny" && on_failure != "egress")
    return WrongUsage("handler register", "--on-failure is neither deny nor egress");
  v1::RegisterHandlerRequest request;
  v1::Handler& handler = *request.mutable_handler();
  handler.set_name(words[0]);
  handler.mutable_endpoints()->Assign(words.begin() + 1, words.end());
  if (builtin.empty()) {
    handler.mutable_timeout()->set_seconds(timeout.count() / 1000);
    handler.mutable_timeout()->set_nanos(static_cast<int32_t>(timeout.count() % 1000) * 1'000'000);
    handler.mutable_connect_timeout()->set_seconds(connect_timeout.count() / 1000);
    handler.mutable_connect_timeout()->set_nanos(
        static_cast<int32_t>(connect_timeout.count() % 1000) * 1'000'000);
  } else {
    const absl::StatusOr<v1::Builtin> parsed = ParseBuiltin(builtin);
    if (!parsed.ok())
      return WrongUsage("handler register", StrCat("--builtin ", parsed.status().message()));
    *handler.mutable_builtin() = *parsed;
  }
  handler.set_on_failure(on_failure == "egress" ? v1::Handler::ON_FAILURE_EGRESS
                                                : v1::Handler::ON_FAILURE_DENY);
  handler.set_holds_secrets(holds_secrets);
  handler.set_retries(static_cast<uint32_t>(retries));
  handler.set_max_concurrency(static_cast<uint32_t>(max_concurrency));
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::RegisterHandler, request, common,
      [](const v1::RegisterHandlerResponse& response) {
        std::printf("handler %s%s%s   %s\n", response.handler().name().c_str(),
                    response.handler().has_builtin() ? ", " : " at ",
                    WhatItIs(response.handler()).c_str(), Describe(response.result()).c_str());
      },
      wait.call_time());
}

// How this host's calls fare; an error: no agent answers here.
grpc::Status AskUsage(const CommonFlags& common, v1::UsageResponse* usage) {
  const Connection agent(Connection::Server::kAgent, common);
  return v1::AgentControl::NewStub(agent.channel())
      ->Usage(ContextFor(std::chrono::seconds(2)).get(), v1::UsageRequest(), usage);
}

int List(const Arguments& arguments) {
  FlagSet flags("sallyport handler list",
                "Lists all handlers, and how their endpoints do. The figures are of this host's "
                "calls since its proxy was started: there are none where no agent runs.");
  flags.set_example("sallyport handler list");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  const Connection connection(Connection::Server::kControlPlane, common);
  v1::ListHandlersResponse handlers;
  const grpc::Status listed = v1::HandlerRegistry::NewStub(connection.channel())
                                  ->ListHandlers(ContextFor().get(), {}, &handlers);
  if (!listed.ok()) return connection.Report(listed);
  v1::UsageResponse usage;
  const bool has_usage = AskUsage(common, &usage).ok();
  if (common.json) {
    std::string json = ToJson(handlers);
    // `usage` beside `handlers`, where there is any.
    if (has_usage) json.insert(json.size() - 1, StrCat(",\"usage\":", ToJson(usage)));
    std::printf("%s\n", json.c_str());
    return kDone;
  }
  for (const v1::Handler& handler : handlers.handlers()) {
    std::printf("%s%s", HandlerLine(handler).c_str(),
                EndpointLines(handler, has_usage ? &usage : nullptr).c_str());
  }
  return kDone;
}

int Get(const Arguments& arguments) {
  FlagSet flags("sallyport handler get", "Shows a handler.", Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport handler get authenticated-github");
  CommonFlags common;
  common.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("handler get", "give one handler name");
  v1::GetHandlerRequest request;
  request.set_name(words[0]);
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(connection, stub.get(), &Stub::GetHandler, request, common,
              [](const v1::GetHandlerResponse& response) {
                std::printf("%s", HandlerLine(response.handler()).c_str());
                if (response.handler().has_builtin())
                  std::printf("%s", yaml::Print(ToYaml(response.handler().builtin())).c_str());
                std::printf("  revision %llu\n",
                            static_cast<unsigned long long>(response.revision()));
              });
}

int Delete(const Arguments& arguments) {
  FlagSet flags("sallyport handler delete",
                "Takes a registration away; rules that name it answer 502 from then on.",
                Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport handler delete authenticated-github");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  options.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("handler delete", "give one handler name");
  v1::RemoveHandlerRequest request;
  request.set_name(words[0]);
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::RemoveHandler, request, common,
      [&](const v1::MutationResult& result) {
        std::printf("handler %s is gone   %s\n", words[0].c_str(), Describe(result).c_str());
      },
      wait.call_time());
}

int RevokeLeases(const Arguments& arguments) {
  FlagSet flags("sallyport handler revoke-leases",
                "Ends every lease that a handler gave: each request is put to it again.",
                Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport handler revoke-leases authenticated-github");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  options.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("handler revoke-leases", "give one handler name");
  v1::RevokeLeasesRequest request;
  request.set_name(words[0]);
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::RevokeLeases, request, common,
      [&](const v1::RevokeLeasesResponse& response) {
        std::printf("leases of handler %s are revoked, epoch %llu   %s\n", words[0].c_str(),
                    static_cast<unsigned long long>(response.lease_epoch()),
                    Describe(response.result()).c_str());
      },
      wait.call_time());
}

}  // namespace

void AddHandlerCommands(std::vector<Command>* commands) {
  commands->push_back({"handler register", "Says where a handler listens.", Register});
  commands->push_back({"handler get", "Shows a handler.", Get});
  commands->push_back({"handler list", "Lists all handlers, and how they do.", List});
  commands->push_back({"handler delete", "Takes a handler's registration away.", Delete});
  commands->push_back({"handler revoke-leases", "Ends every lease of a handler.", RevokeLeases});
}

}  // namespace sallyport::cli
