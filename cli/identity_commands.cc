// Identity tokens.

#include <memory>

#include "cli/command.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

int Keys(const Arguments& arguments) {
  FlagSet flags("sallyport identity keys",
                "Prints the public keys by which handlers verify identity tokens, of all hosts, as "
                "a JWK Set (RFC 7517). `host` says whose a key is: `iss` of a token must be the "
                "same.");
  flags.set_example("sallyport identity keys > /etc/my-handler/sallyport.jwks");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  const Connection connection(Connection::Server::kControlPlane, common);
  v1::GetIdentityKeysResponse response;
  const grpc::Status status = v1::HandlerRegistry::NewStub(connection.channel())
                                  ->GetIdentityKeys(ContextFor().get(), {}, &response);
  if (!status.ok()) return connection.Report(status);
  // It is JSON as it is, with --json and without.
  std::printf("%s\n", response.jwks().c_str());
  return kDone;
}

}  // namespace

void AddIdentityCommands(std::vector<Command>* commands) {
  commands->push_back(
      {"identity keys", "Prints the keys that identity tokens are verified by.", Keys});
}

}  // namespace sallyport::cli
