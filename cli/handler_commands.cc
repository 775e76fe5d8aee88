// Handlers.

#include <memory>

#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::HandlerRegistry::Stub;

int Register(const Arguments& arguments) {
  FlagSet flags("sallyport handler register",
                "Says where a handler listens; replaces an earlier registration.",
                Positional::kAnywhere);
  flags.set_arguments("NAME ENDPOINT…");
  flags.set_example(
      "sallyport handler register authenticated-github grpc://127.0.0.1:7070 --timeout 5s "
      "--holds-secrets");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  // --timeout is the handler's own here.
  std::string on_failure = "deny";
  std::chrono::milliseconds timeout{30'000};
  bool holds_secrets = false;
  common.AddTo(&flags);
  options.AddTo(&flags);
  flags.Duration("timeout", &timeout, "DURATION",
                 "From a request's head until the handler's answer begins.");
  flags.String("on-failure", &on_failure, "deny|egress",
               "What happens to a request when the handler fails.");
  flags.Bool("holds-secrets", &holds_secrets, "It adds credentials, and may never fail open.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() < 2)
    return WrongUsage("handler register",
                      "give a name and an endpoint such as grpc://127.0.0.1:7070");
  if (on_failure != "deny" && on_failure != "egress")
    return WrongUsage("handler register", "--on-failure is neither deny nor egress");
  v1::RegisterHandlerRequest request;
  v1::Handler& handler = *request.mutable_handler();
  handler.set_name(words[0]);
  handler.mutable_endpoints()->Assign(words.begin() + 1, words.end());
  handler.mutable_timeout()->set_seconds(timeout.count() / 1000);
  handler.mutable_timeout()->set_nanos(static_cast<int32_t>(timeout.count() % 1000) * 1'000'000);
  handler.set_on_failure(on_failure == "egress" ? v1::Handler::ON_FAILURE_EGRESS
                                                : v1::Handler::ON_FAILURE_DENY);
  handler.set_holds_secrets(holds_secrets);
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::RegisterHandler, request, common,
      [](const v1::RegisterHandlerResponse& response) {
        std::printf("handler %s at %s   %s\n", response.handler().name().c_str(),
                    absl::StrJoin(response.handler().endpoints(), ", ").c_str(),
                    Describe(response.result()).c_str());
      },
      wait.call_time());
}

void PrintHandler(const v1::Handler& handler) {
  std::printf("%s   %s%s%s\n", handler.name().c_str(),
              absl::StrJoin(handler.endpoints(), ", ").c_str(),
              handler.holds_secrets() ? "   holds secrets" : "",
              handler.on_failure() == v1::Handler::ON_FAILURE_EGRESS ? "   fails open" : "");
}

int List(const Arguments& arguments) {
  FlagSet flags("sallyport handler list", "Lists all handlers.");
  flags.set_example("sallyport handler list");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(connection, stub.get(), &Stub::ListHandlers, v1::ListHandlersRequest(), common,
              [](const v1::ListHandlersResponse& response) {
                for (const v1::Handler& handler : response.handlers()) PrintHandler(handler);
              });
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
                PrintHandler(response.handler());
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

}  // namespace

void AddHandlerCommands(std::vector<Command>* commands) {
  commands->push_back({"handler register", "Says where a handler listens.", Register});
  commands->push_back({"handler get", "Shows a handler.", Get});
  commands->push_back({"handler list", "Lists all handlers.", List});
  commands->push_back({"handler delete", "Takes a handler's registration away.", Delete});
}

}  // namespace sallyport::cli
