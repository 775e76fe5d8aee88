// How a command reaches the control plane and the agent, and what it says if it cannot.

#ifndef SALLYPORT_CLI_CONNECTION_H_
#define SALLYPORT_CLI_CONNECTION_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/flags/flags.h"

namespace sallyport::cli {

inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;  // By the server.
inline constexpr int kUsage = 2;
inline constexpr int kUnreachable = 3;

// What every command accepts. Defaults come from SALLYPORT_CONTROL_PLANE, SALLYPORT_TLS_DIR and
// SALLYPORT_AGENT.
struct CommonFlags {
  CommonFlags();
  void AddTo(FlagSet* flags);

  std::string control_plane;
  std::string tls_dir;
  std::string agent;
  bool json = false;
};

// A gRPC channel to one of our servers. Thread-safe.
class Connection {
 public:
  enum class Server { kControlPlane, kAgent };
  // Certificates that cannot be used end the program, with a sentence.
  Connection(Server server, const CommonFlags& flags);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const std::string& address() const { return address_; }

  // Prints what went wrong as one line on stderr, and returns the exit status for it. REQUIRES:
  // !status.ok().
  int Report(const grpc::Status& status) const;

 private:
  const Server server_;
  const std::string address_;
  const bool tls_;
  const std::shared_ptr<grpc::Channel> channel_;
};

// "INVALID_ARGUMENT".
std::string CodeName(grpc::StatusCode code);

// A context whose call ends after `time`.
std::unique_ptr<grpc::ClientContext> ContextFor(
    std::chrono::milliseconds time = std::chrono::seconds(10));

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_CONNECTION_H_
