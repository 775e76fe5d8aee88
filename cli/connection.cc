#include "cli/connection.h"

#include <cstdio>
#include <cstdlib>

#include "common/base/strings.h"
#include "common/pki/channel_credentials.h"

namespace sallyport::cli {
namespace {

// What the control plane sends at most.
constexpr int kMaxMessageBytes = 16 << 20;

std::string FromEnvironment(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::shared_ptr<grpc::Channel> Dial(Connection::Server server, const std::string& address,
                                    const std::string& tls_dir) {
  const absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials =
      pki::CredentialsFor(address, tls_dir);
  if (!credentials.ok()) {
    std::fprintf(stderr, "sallyport: %s\n", std::string(credentials.status().message()).c_str());
    std::exit(kUnreachable);
  }
  // Lists of the control plane may be longer than gRPC's 4 MiB.
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // For commands that go on: a control plane that went away without a word is noticed (agents do
  // not permit to ask so often), and one that comes back is found soon.
  if (server == Connection::Server::kControlPlane) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  }
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  return grpc::CreateCustomChannel(address, *credentials, arguments);
}

}  // namespace

CommonFlags::CommonFlags()
    : control_plane(
          FromEnvironment("SALLYPORT_CONTROL_PLANE", "unix:/run/sallyport/controlplane.sock")),
      tls_dir(FromEnvironment("SALLYPORT_TLS_DIR", "")),
      agent(FromEnvironment("SALLYPORT_AGENT", "unix:/run/sallyport/agent.sock")) {}

void CommonFlags::AddTo(FlagSet* flags) {
  flags->String(
      "control-plane", &control_plane, "ADDRESS",
      "Where sallyportd listens: unix:/PATH or HOST:PORT. Environment: SALLYPORT_CONTROL_PLANE.");
  flags->String("tls-dir", &tls_dir, "DIR",
                "tls.crt, tls.key, ca.crt by which HOST:PORT is dialled (`sallyport pki issue`). "
                "Environment: SALLYPORT_TLS_DIR.");
  flags->String("agent", &agent, "ADDRESS",
                "Where this host's sallyport-agent listens. Environment: SALLYPORT_AGENT.");
  flags->Bool("json", &json, "Print the answer as JSON, with the protocol's own field names.");
}

Connection::Connection(Server server, const CommonFlags& flags)
    : server_(server),
      address_(server == Server::kAgent ? flags.agent : flags.control_plane),
      tls_(server == Server::kControlPlane && !flags.tls_dir.empty()),
      channel_(Dial(server, address_, server == Server::kControlPlane ? flags.tls_dir : "")) {}

int Connection::Report(const grpc::Status& status) const {
  // UNAVAILABLE over a live channel is the server's own word.
  const bool reached = channel_->GetState(false) == GRPC_CHANNEL_READY;
  // A server that is there and says nothing lets the time of the call pass.
  const bool unreachable = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                           status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
  if (unreachable && !reached) {
    const bool agent = server_ == Server::kAgent;
    if (const std::string why = pki::ExplainConnectFailure(status.error_message());
        tls_ && why != status.error_message()) {
      std::fprintf(stderr, "sallyport: cannot reach the control plane at %s: %s\n",
                   address_.c_str(), why.c_str());
      return kUnreachable;
    }
    std::fprintf(stderr,
                 "sallyport: cannot reach the %s at %s: is %s running? (%s or %s says where)\n",
                 agent ? "agent" : "control plane", address_.c_str(),
                 agent ? "sallyport-agent" : "sallyportd", agent ? "--agent" : "--control-plane",
                 agent ? "SALLYPORT_AGENT" : "SALLYPORT_CONTROL_PLANE");
    return kUnreachable;
  }
  std::fprintf(stderr, "sallyport: %s: %s\n", CodeName(status.error_code()).c_str(),
               status.error_message().c_str());
  return kRefused;
}

std::string CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  return code >= 0 && code <= grpc::StatusCode::UNAUTHENTICATED
             ? kNames[code]
             : StrCat("code ", static_cast<int>(code));
}

std::unique_ptr<grpc::ClientContext> ContextFor(std::chrono::milliseconds time) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + time);
  return context;
}

}  // namespace sallyport::cli
