// Why a request is let out, denied or handed to a handler.

#include <memory>

#include "cli/command.h"
#include "cli/explanation.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

int Explain(const Arguments& arguments) {
  FlagSet flags("sallyport explain",
                "Says what would become of a request, by the code that decides: which step and "
                "rule, and what the other steps would have said. No request is made. The URL is "
                "http://…, https://… or, for bytes that are neither, tcp://ADDRESS:PORT.",
                Positional::kAnywhere);
  flags.set_arguments("CONTAINER URL | --class NAME URL");
  flags.set_example("sallyport explain web-1 https://github.com/x --method POST");
  CommonFlags common;
  v1::ExplainRequest request;
  std::string class_name, method, dialled;
  std::vector<std::string> resolved;
  common.AddTo(&flags);
  flags.String("class", &class_name, "NAME",
               "Ask a class, for a container of it that has no rules of its own.");
  flags.String("method", &method, "METHOD", "Default: GET.");
  flags.String("dialled", &dialled, "ADDRESS",
               "The address that the container dials, for rules by address.");
  flags.StringList("resolved", &resolved, "ADDRESS",
                   "An address that the host's name resolves to, for denied networks and what is "
                   "never dialled. Repeatable.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != (class_name.empty() ? 2 : 1))
    return WrongUsage("explain", class_name.empty() ? "give a container id and a URL"
                                                    : "give one URL after --class NAME");
  if (class_name.empty()) {
    request.set_container_id(words[0]);
  } else {
    request.set_class_name(class_name);
  }
  request.set_url(words.back());
  request.set_method(method);
  request.set_dialled(dialled);
  request.mutable_resolved()->Assign(resolved.begin(), resolved.end());
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(connection, stub.get(), &v1::OutboundPolicy::Stub::Explain, request, common,
              [&](const v1::ExplainResponse& response) {
                const std::string asked =
                    StrCat(method.empty() ? "GET" : method, " ", words.back());
                std::printf("%s", Format(asked, response).c_str());
              });
}

}  // namespace

void AddExplainCommand(std::vector<Command>* commands) {
  commands->push_back({"explain", "Says which rule decides on a request.", Explain});
}

}  // namespace sallyport::cli
