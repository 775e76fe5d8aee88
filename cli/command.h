// The commands and how one is found.

#ifndef SALLYPORT_CLI_COMMAND_H_
#define SALLYPORT_CLI_COMMAND_H_

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "cli/connection.h"
#include "cli/output.h"

namespace sallyport::cli {

using Arguments = std::vector<std::string>;

struct Command {
  std::string name;  // As typed: "allow-host", "class apply".
  std::string summary;
  std::function<int(const Arguments& arguments)> run;  // Returns the exit status.
};

// Each file of commands adds its own.
void AddClassCommands(std::vector<Command>* commands);
void AddHandlerCommands(std::vector<Command>* commands);
void AddSecretCommands(std::vector<Command>* commands);
void AddIdentityCommands(std::vector<Command>* commands);
void AddContainerCommands(std::vector<Command>* commands);
void AddMutationCommands(std::vector<Command>* commands);
void AddApplyCommand(std::vector<Command>* commands);
void AddDiffCommand(std::vector<Command>* commands);
void AddExportCommand(std::vector<Command>* commands);
void AddExplainCommand(std::vector<Command>* commands);
void AddWatchCommands(std::vector<Command>* commands);
void AddSuggestCommand(std::vector<Command>* commands);
void AddAuditCommands(std::vector<Command>* commands);
void AddPkiCommands(std::vector<Command>* commands);
void AddTestCommand(std::vector<Command>* commands);
void AddStatusCommand(std::vector<Command>* commands);
void AddRunCommand(std::vector<Command>* commands);

// Prints a sentence about wrong usage, and returns kUsage.
int WrongUsage(const std::string& command, const std::string& message);

// Makes a call: prints the response as JSON (with --json) or by `print`, or reports the error.
// `method` is a member function of Stub such as `&v1::OutboundPolicy::Stub::GetClass`.
template <typename Stub, typename Request, typename Response, typename Print>
int Call(const Connection& connection, Stub* stub,
         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
         const Request& request, const CommonFlags& flags, Print print,
         std::chrono::milliseconds time = std::chrono::seconds(10)) {
  Response response;
  const std::unique_ptr<grpc::ClientContext> context = ContextFor(time);
  const grpc::Status status = (stub->*method)(context.get(), request, &response);
  if (!status.ok()) return connection.Report(status);
  if (flags.json) {
    PrintJson(response);
  } else {
    print(response);
  }
  return kDone;
}

// --expected-revision and --request-id of every mutation.
struct MutationFlags {
  std::string expected_revision;
  std::string request_id;

  void AddTo(FlagSet* flags);
  // False (after a message): a flag's value is wrong.
  bool ToOptions(v1::MutationOptions* options) const;
};

// --wait and --timeout of the mutations that hosts have to enforce.
struct WaitFlags {
  std::string wait = "enforced";
  std::chrono::milliseconds timeout{5000};

  void AddTo(FlagSet* flags);
  // Leaves other options alone. False (after a message): --wait is neither.
  bool ToOptions(v1::MutationOptions* options) const;
  // How long the call may take.
  std::chrono::milliseconds call_time() const { return timeout + std::chrono::seconds(5); }
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_COMMAND_H_
