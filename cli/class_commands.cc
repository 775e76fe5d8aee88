// Classes.

#include <memory>

#include "absl/strings/numbers.h"
#include "cli/command.h"
#include "cli/policy/policy_file.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::OutboundPolicy::Stub;

// The flags of `class apply` that make up a class.
struct ClassFlags {
  std::string enable_internet, intercept_https, monitor, outbound, file;
  bool no_allowed = false, no_denied = false;
  std::vector<std::string> allowed, denied, by_host, handlers, passthrough, ports;

  void AddTo(FlagSet* flags) {
    flags->String("enable-internet", &enable_internet, "true|false",
                  "Whether hosts that nothing else speaks of may be reached.");
    flags->String("intercept-https", &intercept_https, "true|false",
                  "Whether HTTPS is decrypted where there is something to decide.");
    flags->String("monitor", &monitor, "true|false",
                  "Whether what the lists refuse passes, and is only recorded.");
    flags->StringList("allowed-host", &allowed, "HOST",
                      "Only these hosts may be reached. Repeatable.");
    flags->Bool("no-allowed-hosts", &no_allowed,
                "The empty list of allowed hosts: nothing may be reached.");
    flags->StringList("denied-host", &denied, "HOST", "Never these. Repeatable.");
    flags->Bool("no-denied-hosts", &no_denied, "The empty list of denied hosts.");
    flags->StringList("outbound-by-host", &by_host, "HOST=HANDLER",
                      "Which handler answers for a host. Repeatable; the order counts.");
    flags->String("outbound", &outbound, "HANDLER", "The handler for every other host.");
    flags->StringList("outbound-handler", &handlers, "NAME",
                      "Handlers that rules of single containers may use. Repeatable.");
    flags->StringList("tls-passthrough-host", &passthrough, "HOST", "Never decrypted. Repeatable.");
    flags->StringList("http-port", &ports, "PORT",
                      "Ports that are read as HTTP or TLS, in place of 80 and 443. Repeatable.");
    flags->String("file", &file, "FILE",
                  "Take the class from a policy file (YAML) instead of flags.");
  }

  // INVALID_ARGUMENT says which flag is wrong.
  absl::StatusOr<v1::ContainerClass> ToProto(const std::string& name) const {
    v1::ContainerClass result;
    result.set_name(name);
    for (const auto& [flag, value] :
         {std::pair("--enable-internet", &enable_internet),
          std::pair("--intercept-https", &intercept_https), std::pair("--monitor", &monitor)}) {
      if (value->empty()) continue;
      if (*value != "true" && *value != "false")
        return absl::InvalidArgumentError(StrCat(flag, " is neither true nor false"));
      if (value == &enable_internet) result.set_enable_internet(*value == "true");
      if (value == &intercept_https) result.set_intercept_https(*value == "true");
      if (value == &monitor) result.set_monitor(*value == "true");
    }
    if (!allowed.empty() || no_allowed)
      result.mutable_allowed_hosts()->mutable_hosts()->Assign(allowed.begin(), allowed.end());
    if (!denied.empty() || no_denied)
      result.mutable_denied_hosts()->mutable_hosts()->Assign(denied.begin(), denied.end());
    for (const std::string& text : by_host) {
      const size_t equals = text.find('=');
      if (equals == std::string::npos)
        return absl::InvalidArgumentError(
            StrCat("--outbound-by-host ", text, " is not HOST=HANDLER"));
      v1::HostRule* rule = result.add_outbound_by_host();
      rule->set_host(text.substr(0, equals));
      rule->mutable_handler()->set_handler(text.substr(equals + 1));
    }
    if (!outbound.empty()) result.mutable_outbound()->set_handler(outbound);
    if (!handlers.empty())
      result.mutable_outbound_handlers()->mutable_names()->Assign(handlers.begin(), handlers.end());
    result.mutable_tls_passthrough_hosts()->Assign(passthrough.begin(), passthrough.end());
    for (const std::string& text : ports) {
      uint32_t port = 0;
      if (!absl::SimpleAtoi(text, &port))
        return absl::InvalidArgumentError(StrCat("--http-port ", text, " is not a port"));
      result.add_http_ports(port);
    }
    return result;
  }
};

absl::StatusOr<v1::ContainerClass> ClassFromFile(const std::string& path, const std::string& name) {
  absl::StatusOr<PolicyFile> file = ReadPolicyFiles({path});
  if (!file.ok()) return file.status();
  for (const auto& [found, file_name, marks] : file->classes) {
    if (name.empty() ? file->classes.size() == 1 : found.name() == name) return found;
  }
  return absl::InvalidArgumentError(
      name.empty() ? StrCat(path, " has not exactly one class: name the one that you mean")
                   : StrCat(path, " has no class ", name));
}

int Apply(const Arguments& arguments) {
  FlagSet flags("sallyport class apply", "Creates a class or replaces it whole.",
                Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example(
      "sallyport class apply untrusted-agent --enable-internet=false --intercept-https=true "
      "--allowed-host github.com");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  ClassFlags fields;
  common.AddTo(&flags);
  wait.AddTo(&flags);
  options.AddTo(&flags);
  fields.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  const std::string name = words.empty() ? "" : words[0];
  if (words.size() > 1 || (name.empty() && fields.file.empty()))
    return WrongUsage("class apply", "give one class name");
  absl::StatusOr<v1::ContainerClass> value =
      fields.file.empty() ? fields.ToProto(name) : ClassFromFile(fields.file, name);
  if (!value.ok()) return WrongUsage("class apply", std::string(value.status().message()));
  v1::ApplyClassRequest request;
  *request.mutable_class_() = *std::move(value);
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::ApplyClass, request, common,
      [](const v1::ApplyClassResponse& response) {
        for (const std::string& warning : response.warnings())
          std::fprintf(stderr, "warning: %s\n", warning.c_str());
        std::printf("class %s   %s\n", response.class_().name().c_str(),
                    Describe(response.result()).c_str());
      },
      wait.call_time());
}

void PrintClass(const v1::ContainerClass& value) {
  std::printf("%s\n  enable_internet %s   intercept_https %s\n", value.name().c_str(),
              !value.has_enable_internet() || value.enable_internet() ? "true" : "false",
              value.intercept_https() ? "true" : "false");
  std::printf("  allowed_hosts  %s\n",
              Describe(value.has_allowed_hosts() ? &value.allowed_hosts() : nullptr).c_str());
  std::printf("  denied_hosts   %s\n",
              Describe(value.has_denied_hosts() ? &value.denied_hosts() : nullptr).c_str());
  for (const v1::HostRule& rule : value.outbound_by_host()) {
    std::printf("  %s -> %s\n", rule.host().c_str(), rule.handler().handler().c_str());
  }
  if (value.has_outbound())
    std::printf("  everything else -> %s\n", value.outbound().handler().c_str());
}

int Get(const Arguments& arguments) {
  FlagSet flags("sallyport class get", "Shows a class.", Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport class get untrusted-agent");
  CommonFlags common;
  common.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("class get", "give one class name");
  v1::GetClassRequest request;
  request.set_name(words[0]);
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(connection, stub.get(), &Stub::GetClass, request, common,
              [](const v1::GetClassResponse& response) {
                PrintClass(response.class_());
                std::printf("  revision %llu\n",
                            static_cast<unsigned long long>(response.revision()));
              });
}

int Delete(const Arguments& arguments) {
  FlagSet flags("sallyport class delete", "Deletes a class that no container is of.",
                Positional::kAnywhere);
  flags.set_arguments("NAME");
  flags.set_example("sallyport class delete untrusted-agent");
  CommonFlags common;
  MutationFlags options;
  common.AddTo(&flags);
  options.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("class delete", "give one class name");
  v1::DeleteClassRequest request;
  request.set_name(words[0]);
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(connection, stub.get(), &Stub::DeleteClass, request, common,
              [](const v1::DeleteClassResponse& response) {
                std::printf("deleted   revision %llu\n",
                            static_cast<unsigned long long>(response.revision()));
              });
}

int List(const Arguments& arguments) {
  FlagSet flags("sallyport class list", "Lists all classes.");
  flags.set_example("sallyport class list");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(connection, stub.get(), &Stub::ListClasses, v1::ListClassesRequest(), common,
              [](const v1::ListClassesResponse& response) {
                for (const v1::ContainerClass& value : response.classes()) PrintClass(value);
              });
}

}  // namespace

void AddClassCommands(std::vector<Command>* commands) {
  commands->push_back({"class apply", "Creates a class or replaces it whole.", Apply});
  commands->push_back({"class get", "Shows a class.", Get});
  commands->push_back({"class list", "Lists all classes.", List});
  commands->push_back({"class delete", "Deletes a class that no container is of.", Delete});
}

}  // namespace sallyport::cli
