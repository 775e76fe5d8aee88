// Secrets for built-in handlers.

#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"
#include "proto/sallyport/v1/secret.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::SecretStore::Stub;

// While it lives the terminal does not show what is typed.
class SilentTerminal {
 public:
  SilentTerminal() : is_terminal_(tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_terminal_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    std::fprintf(stderr, "Value: ");
  }
  ~SilentTerminal() {
    if (!is_terminal_) return;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    std::fprintf(stderr, "\n");
  }
  bool is_terminal() const { return is_terminal_; }

 private:
  termios before_ = {};
  const bool is_terminal_;
};

std::string ReadSome(std::istream& input) {
  std::string text(kMaxSecretBytes + 2, '\0');
  input.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(input.gcount()));
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

// Of the file, or of stdin. Never of an argument, which every user of the machine sees.
std::string ReadValue(const std::string& file) {
  if (!file.empty() && file != "-") {
    std::ifstream input(file, std::ios::binary);
    return ReadSome(input);
  }
  const SilentTerminal terminal;
  if (!terminal.is_terminal()) return ReadSome(std::cin);
  std::string line;
  std::getline(std::cin, line);
  return line;
}

int Set(const Arguments& arguments) {
  FlagSet flags("sallyport secret set",
                "Stores a secret for built-in handlers, encrypted; no call gives it back. The "
                "value is read from stdin.",
                Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport secret set github < token.txt");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  std::string file;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  options.AddTo(&flags);
  flags.String("from-file", &file, "FILE", "Read the value from a file.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1)
    return WrongUsage("secret set", "give one name; the value is read from stdin");
  v1::SetSecretRequest request;
  request.set_name(words[0]);
  request.set_value(ReadValue(file));
  if (const absl::Status valid = CheckSecretValue(request.value()); !valid.ok())
    return WrongUsage("secret set", StrCat("the value ", valid.message()));
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::SecretStore::NewStub(connection.channel());
  const int status = Call(
      connection, stub.get(), &Stub::SetSecret, request, common,
      [&](const v1::MutationResult& result) {
        std::printf("secret %s   %s\n", words[0].c_str(), Describe(result).c_str());
      },
      wait.call_time());
  Wipe(request.mutable_value());
  return status;
}

int List(const Arguments& arguments) {
  FlagSet flags("sallyport secret list", "Lists secrets by name, and the handlers that use each.");
  flags.set_example("sallyport secret list");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::SecretStore::NewStub(connection.channel());
  return Call(connection, stub.get(), &Stub::ListSecrets, v1::ListSecretsRequest(), common,
              [](const v1::ListSecretsResponse& response) {
                for (const auto& secret : response.secrets()) {
                  std::printf("%s   revision %llu   %s\n", secret.name().c_str(),
                              static_cast<unsigned long long>(secret.revision()),
                              secret.handlers().empty()
                                  ? "used by no handler"
                                  : absl::StrJoin(secret.handlers(), ", ").c_str());
                }
              });
}

int Delete(const Arguments& arguments) {
  FlagSet flags("sallyport secret delete",
                "Deletes a secret; handlers that use it answer 502 from then on.",
                Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport secret delete github");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  options.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("secret delete", "give one name");
  v1::DeleteSecretRequest request;
  request.set_name(words[0]);
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::SecretStore::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::DeleteSecret, request, common,
      [&](const v1::MutationResult& result) {
        std::printf("secret %s is gone   %s\n", words[0].c_str(), Describe(result).c_str());
      },
      wait.call_time());
}

}  // namespace

void AddSecretCommands(std::vector<Command>* commands) {
  commands->push_back({"secret set", "Stores a secret for built-in handlers.", Set});
  commands->push_back({"secret list", "Lists secrets by name.", List});
  commands->push_back({"secret delete", "Deletes a secret.", Delete});
}

}  // namespace sallyport::cli
