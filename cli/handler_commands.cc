// Handlers.

#include <memory>

#include "cli/command.h"
#include "cli/handler_lines.h"
#include "cli/handler_register.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::HandlerRegistry::Stub;

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
                std::printf("%s%s", HandlerLine(response.handler()).c_str(),
                            EndpointLines(response.handler(), nullptr).c_str());
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
  commands->push_back({"handler register", "Says where a handler listens.", RegisterHandler});
  commands->push_back({"handler get", "Shows a handler.", Get});
  commands->push_back({"handler list", "Lists all handlers, and how they do.", List});
  commands->push_back({"handler delete", "Takes a handler's registration away.", Delete});
  commands->push_back({"handler revoke-leases", "Ends every lease of a handler.", RevokeLeases});
}

}  // namespace sallyport::cli
