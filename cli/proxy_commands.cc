#include "cli/proxy_commands.h"

#include <chrono>
#include <cstdio>

#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::cli {
namespace {

// Longer than the agent takes to say that it cannot.
constexpr std::chrono::seconds kRestartTime{25};

int RestartProxy(const Arguments& arguments) {
  FlagSet flags(
      "sallyport restart-proxy",
      "Puts a new proxy in the place of this host's, as after its program was replaced. No "
      "connection is refused; those that are open are finished by the old one.");
  flags.set_example("sallyport restart-proxy");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  const Connection connection(Connection::Server::kAgent, common);
  const auto stub = v1::AgentControl::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &v1::AgentControl::Stub::RestartProxy, v1::RestartProxyRequest(),
      common,
      [](const v1::RestartProxyResponse& response) {
        std::printf("the proxy is process %d now\n", response.proxy_pid());
      },
      kRestartTime);
}

}  // namespace

void AddProxyCommands(std::vector<Command>* commands) {
  commands->push_back(
      {"restart-proxy", "Replaces this host's proxy without a failed connection.", RestartProxy});
}

}  // namespace sallyport::cli
