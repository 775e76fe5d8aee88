// The calls of semantics section 7: rules and lists of one container.

#include <memory>

#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::OutboundPolicy::Stub;
template <typename Request>
using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, v1::MutationResult*);

// Everything that mutation commands have in common: flags, arguments, the call, and the line at the
// end.
class Mutation {
 public:
  Mutation(const std::string& name, const std::string& summary, const std::string& arguments,
           const std::string& example)
      : name_(name), flags_("sallyport " + name, summary, Positional::kAnywhere) {
    flags_.set_arguments(arguments);
    flags_.set_example(example);
    common_.AddTo(&flags_);
    wait_.AddTo(&flags_);
    options_.AddTo(&flags_);
  }

  FlagSet& flags() { return flags_; }

  // The arguments; empty after wrong usage was reported.
  Arguments Parse(const Arguments& arguments, size_t least, size_t most) {
    Arguments positional = flags_.ParseOrExit(arguments);
    if (positional.size() >= least && positional.size() <= most) return positional;
    WrongUsage(name_, positional.size() < least
                          ? "an argument is missing"
                          : StrCat("`", positional[most], "` is one argument too many"));
    return {};
  }

  // `holds` says what holds now.
  template <typename Request>
  int Send(Method<Request> method, Request request, const std::string& container,
           const std::string& holds) {
    request.set_container_id(container);
    if (!wait_.ToOptions(request.mutable_options())) return kUsage;
    if (!options_.ToOptions(request.mutable_options())) return kUsage;
    const Connection connection(Connection::Server::kControlPlane, common_);
    const std::unique_ptr<Stub> stub = v1::OutboundPolicy::NewStub(connection.channel());
    return Call(
        connection, stub.get(), method, request, common_,
        [&](const v1::MutationResult& result) {
          std::printf("%s: %s   %s\n", container.c_str(), holds.c_str(), Describe(result).c_str());
        },
        wait_.call_time());
  }

 private:
  const std::string name_;
  FlagSet flags_;
  CommonFlags common_;
  WaitFlags wait_;
  MutationFlags options_;
};

// CONTAINER HOST…: a list is set.
Command ListCommand(const std::string& name, const std::string& what,
                    Method<v1::HostsRequest> method) {
  const std::string summary =
      StrCat("Sets the container's own list of ", what, " hosts; it hides the class's list.");
  return {name, summary, [=](const Arguments& arguments) {
            Mutation mutation(name, StrCat(summary, " No hosts: the empty list."),
                              "CONTAINER [HOST…]",
                              StrCat("sallyport ", name, " web-1 github.com '*.pkgs.example'"));
            const Arguments words = mutation.Parse(arguments, 1, 100'000);
            if (words.empty()) return kUsage;
            v1::HostsRequest request;
            request.mutable_hosts()->Assign(words.begin() + 1, words.end());
            const std::string hosts =
                words.size() == 1 ? "nothing" : absl::StrJoin(words.begin() + 1, words.end(), ", ");
            return mutation.Send(method, request, words[0], StrCat(what, ": ", hosts));
          }};
}

// CONTAINER HOST: one entry or rule.
Command HostCommand(const std::string& name, const std::string& summary, const std::string& holds,
                    Method<v1::HostRequest> method) {
  return {name, summary, [=](const Arguments& arguments) {
            Mutation mutation(name, summary, "CONTAINER HOST",
                              StrCat("sallyport ", name, " web-1 api.example.com"));
            const Arguments words = mutation.Parse(arguments, 2, 2);
            if (words.empty()) return kUsage;
            v1::HostRequest request;
            request.set_host(words[1]);
            return mutation.Send(method, request, words[0], StrCat(words[1], " ", holds));
          }};
}

// CONTAINER: back to the class.
Command ContainerCommand(const std::string& name, const std::string& summary,
                         const std::string& holds, Method<v1::ContainerRequest> method) {
  return {name, summary, [=](const Arguments& arguments) {
            Mutation mutation(name, summary, "CONTAINER", StrCat("sallyport ", name, " web-1"));
            const Arguments words = mutation.Parse(arguments, 1, 1);
            if (words.empty()) return kUsage;
            return mutation.Send(method, v1::ContainerRequest(), words[0], holds);
          }};
}

// Reports a bad --params, or sets it.
template <typename Request>
bool SetParams(const std::string& name, const std::string& json, Request* request) {
  absl::StatusOr<google::protobuf::Struct> params = ParseParams(json);
  if (!params.ok()) {
    WrongUsage(name, std::string(params.status().message()));
    return false;
  }
  if (!json.empty()) *request->mutable_params() = *std::move(params);
  return true;
}

void AddParams(Mutation* mutation, std::string* params) {
  mutation->flags().String("params", params, "JSON",
                           "A JSON object that the handler gets with each request.");
}

int SetOutboundByHost(const Arguments& arguments) {
  Mutation mutation("set-outbound-by-host",
                    "Sends the container's requests for a host to a handler.",
                    "CONTAINER HOST HANDLER",
                    "sallyport set-outbound-by-host web-1 github.com authenticated-github --params "
                    "'{\"scope\": \"repo\"}'");
  std::string params;
  AddParams(&mutation, &params);
  const Arguments words = mutation.Parse(arguments, 3, 3);
  if (words.empty()) return kUsage;
  v1::SetOutboundByHostRequest request;
  if (!SetParams("set-outbound-by-host", params, &request)) return kUsage;
  request.set_host(words[1]);
  request.set_handler(words[2]);
  return mutation.Send(&Stub::SetOutboundByHost, request, words[0],
                       StrCat(words[1], " -> ", words[2]));
}

int SetOutboundByHosts(const Arguments& arguments) {
  Mutation mutation("set-outbound-by-hosts",
                    "Replaces all rules by host of the container. No rules: clears them.",
                    "CONTAINER [HOST=HANDLER…]",
                    "sallyport set-outbound-by-hosts web-1 github.com=gh '*.kv=kv'");
  std::string params;
  AddParams(&mutation, &params);
  const Arguments words = mutation.Parse(arguments, 1, 100'000);
  if (words.empty()) return kUsage;
  v1::SetOutboundByHostsRequest request;
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string::npos)
      return WrongUsage("set-outbound-by-hosts", StrCat("`", words[i], "` is not HOST=HANDLER"));
    v1::HostRule* rule = request.add_rules();
    rule->set_host(words[i].substr(0, equals));
    rule->mutable_handler()->set_handler(words[i].substr(equals + 1));
    if (!SetParams("set-outbound-by-hosts", params, rule->mutable_handler())) return kUsage;
  }
  return mutation.Send(&Stub::SetOutboundByHosts, request, words[0],
                       StrCat(words.size() - 1, " rules by host"));
}

int RemoveOutboundByHost(const Arguments& arguments) {
  Mutation mutation("remove-outbound-by-host",
                    "Takes a rule by host away; the class's rule holds again.", "CONTAINER HOST",
                    "sallyport remove-outbound-by-host web-1 github.com");
  const Arguments words = mutation.Parse(arguments, 2, 2);
  if (words.empty()) return kUsage;
  v1::RemoveOutboundByHostRequest request;
  request.set_host(words[1]);
  return mutation.Send(&Stub::RemoveOutboundByHost, request, words[0],
                       StrCat(words[1], " -> as the class says"));
}

int SetOutboundHandler(const Arguments& arguments) {
  Mutation mutation("set-outbound-handler",
                    "Sends all other requests of the container to a handler.", "CONTAINER HANDLER",
                    "sallyport set-outbound-handler web-1 read-only");
  std::string params;
  AddParams(&mutation, &params);
  const Arguments words = mutation.Parse(arguments, 2, 2);
  if (words.empty()) return kUsage;
  v1::SetOutboundHandlerRequest request;
  if (!SetParams("set-outbound-handler", params, &request)) return kUsage;
  request.set_handler(words[1]);
  return mutation.Send(&Stub::SetOutboundHandler, request, words[0],
                       StrCat("everything else -> ", words[1]));
}

int SetEnableInternet(const Arguments& arguments) {
  Mutation mutation(
      "set-enable-internet",
      "Whether hosts that nothing else speaks of may be reached; `class`: as the class says.",
      "CONTAINER true|false|class", "sallyport set-enable-internet web-1 false");
  const Arguments words = mutation.Parse(arguments, 2, 2);
  if (words.empty()) return kUsage;
  v1::SetEnableInternetRequest request;
  if (words[1] == "true" || words[1] == "false") {
    request.set_enable_internet(words[1] == "true");
  } else if (words[1] != "class") {
    return WrongUsage("set-enable-internet",
                      StrCat("`", words[1], "` is none of true, false, class"));
  }
  return mutation.Send(&Stub::SetEnableInternet, request, words[0],
                       StrCat("enable_internet ", words[1]));
}

Command InterceptCommand(const std::string& name, const std::string& summary, bool all,
                         Method<v1::InterceptRequest> method) {
  return {name, summary, [=](const Arguments& arguments) {
            Mutation mutation(
                name, summary, all ? "CONTAINER HANDLER" : "CONTAINER TARGET HANDLER",
                StrCat("sallyport ", name, " web-1 ", all ? "" : "203.0.113.0/24 ", "log"));
            std::string params;
            AddParams(&mutation, &params);
            const Arguments words = mutation.Parse(arguments, all ? 2 : 3, all ? 2 : 3);
            if (words.empty()) return kUsage;
            v1::InterceptRequest request;
            if (!SetParams(name, params, &request)) return kUsage;
            if (!all) request.set_target(words[1]);
            request.set_handler(words.back());
            return mutation.Send(method, request, words[0],
                                 StrCat(all ? "*" : words[1], " -> ", words.back()));
          }};
}

}  // namespace

void AddMutationCommands(std::vector<Command>* commands) {
  commands->push_back({"set-outbound-by-host",
                       "Sends a container's requests for a host to a handler.", SetOutboundByHost});
  commands->push_back(
      {"set-outbound-by-hosts", "Replaces a container's rules by host.", SetOutboundByHosts});
  commands->push_back(
      {"remove-outbound-by-host", "Takes a rule by host away.", RemoveOutboundByHost});
  commands->push_back(
      {"set-outbound-handler", "Sends all other requests to a handler.", SetOutboundHandler});
  commands->push_back(
      ContainerCommand("clear-outbound-handler", "Takes the container's catch-all handler away.",
                       "everything else -> as the class says", &Stub::ClearOutboundHandler));
  commands->push_back(ListCommand("set-allowed-hosts", "allowed", &Stub::SetAllowedHosts));
  commands->push_back(ListCommand("set-denied-hosts", "denied", &Stub::SetDeniedHosts));
  commands->push_back(
      ContainerCommand("clear-allowed-hosts", "Back to the class's list of allowed hosts.",
                       "allowed hosts as the class says", &Stub::ClearAllowedHosts));
  commands->push_back(ContainerCommand("clear-denied-hosts",
                                       "Back to the class's list of denied hosts.",
                                       "denied hosts as the class says", &Stub::ClearDeniedHosts));
  commands->push_back(HostCommand("allow-host",
                                  "Adds to the allowed hosts; the first one makes an allow list.",
                                  "allowed", &Stub::AllowHost));
  commands->push_back(
      HostCommand("deny-host", "Adds to the denied hosts.", "denied", &Stub::DenyHost));
  commands->push_back(HostCommand("remove-allowed-host", "Takes an entry off the allowed hosts.",
                                  "no longer allowed", &Stub::RemoveAllowedHost));
  commands->push_back(HostCommand("remove-denied-host", "Takes an entry off the denied hosts.",
                                  "no longer denied", &Stub::RemoveDeniedHost));
  commands->push_back(
      {"set-enable-internet", "Overrides the class's enable_internet.", SetEnableInternet});
  commands->push_back(InterceptCommand("intercept-outbound-http",
                                       "Low level: plain HTTP to a target goes to a handler first.",
                                       false, &Stub::InterceptOutboundHttp));
  commands->push_back(InterceptCommand("intercept-outbound-https",
                                       "Low level: the same inside decrypted TLS.", false,
                                       &Stub::InterceptOutboundHttps));
  commands->push_back(InterceptCommand("intercept-all-outbound-http",
                                       "Low level: all plain HTTP goes to a handler first.", true,
                                       &Stub::InterceptAllOutboundHttp));
  commands->push_back(HostCommand("remove-intercept-outbound-http", "Takes a low-level rule away.",
                                  "no longer intercepted", &Stub::RemoveInterceptOutboundHttp));
  commands->push_back(HostCommand("remove-intercept-outbound-https", "Takes a low-level rule away.",
                                  "no longer intercepted", &Stub::RemoveInterceptOutboundHttps));
  commands->push_back(ContainerCommand(
      "remove-intercept-all-outbound-http", "Takes the low-level rule for all HTTP away.",
      "plain HTTP no longer intercepted", &Stub::RemoveInterceptAllOutboundHttp));
}

}  // namespace sallyport::cli
