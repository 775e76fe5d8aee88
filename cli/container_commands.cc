// Containers: their records in the control plane, and their attachment to this host's agent.

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "agent/attach/capabilities.h"
#include "cli/command.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::cli {
namespace {

void PrintContainer(const v1::ContainerStatus& container) {
  const v1::ContainerPolicy& policy = container.policy();
  std::printf("%s   class %s   %s%s   revision %llu, enforced %llu\n",
              policy.container_id().c_str(), policy.class_name().c_str(),
              container.host().empty() ? "attached nowhere" : "on ", container.host().c_str(),
              static_cast<unsigned long long>(container.stored_revision()),
              static_cast<unsigned long long>(container.enforced_revision()));
  if (!container.rejection().empty())
    std::printf("  its host refused the last change: %s\n", container.rejection().c_str());
  std::printf("  allowed_hosts  %s\n", Describe(container.has_effective_allowed_hosts()
                                                    ? &container.effective_allowed_hosts()
                                                    : nullptr)
                                           .c_str());
  std::printf("  denied_hosts   %s\n",
              Describe(container.has_effective_denied_hosts() ? &container.effective_denied_hosts()
                                                              : nullptr)
                  .c_str());
  for (const v1::HostRule& rule : policy.outbound_by_host()) {
    std::printf("  %s -> %s\n", rule.host().c_str(), rule.handler().handler().c_str());
  }
  if (policy.has_outbound())
    std::printf("  everything else -> %s\n", policy.outbound().handler().c_str());
}

// One container id as the only argument.
template <typename Service, typename Stub, typename Request, typename Response, typename Print>
int ById(const std::string& command, const std::string& summary, Connection::Server server,
         const Arguments& arguments,
         grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
         Print print) {
  FlagSet flags("sallyport " + command, summary, Positional::kAnywhere);
  flags.set_arguments("CONTAINER");
  flags.set_example("sallyport " + command + " web-1");
  CommonFlags common;
  common.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage(command, "give one container id");
  Request request;
  request.set_container_id(words[0]);
  const Connection connection(server, common);
  const auto stub = Service::NewStub(connection.channel());
  return Call(connection, stub.get(), method, request, common, print);
}

int Get(const Arguments& arguments) {
  return ById<v1::OutboundPolicy>(
      "container get", "Shows a container: its rules, where it runs, what is enforced.",
      Connection::Server::kControlPlane, arguments, &v1::OutboundPolicy::Stub::GetContainer,
      [](const v1::GetContainerResponse& response) { PrintContainer(response.container()); });
}

int Delete(const Arguments& arguments) {
  FlagSet flags("sallyport container delete",
                "Deletes the record and rules of a container that is not attached.",
                Positional::kAnywhere);
  flags.set_arguments("CONTAINER");
  flags.set_example("sallyport container delete web-1");
  CommonFlags common;
  MutationFlags options;
  common.AddTo(&flags);
  options.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("container delete", "give one container id");
  v1::DeleteContainerRequest request;
  request.set_container_id(words[0]);
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(connection, stub.get(), &v1::OutboundPolicy::Stub::DeleteContainer, request, common,
              [](const v1::DeleteContainerResponse&) { std::printf("deleted\n"); });
}

int Detach(const Arguments& arguments) {
  return ById<v1::AgentControl>(
      "container detach", "Takes a container off this host's agent; it reaches nothing any more.",
      Connection::Server::kAgent, arguments, &v1::AgentControl::Stub::Detach,
      [](const v1::DetachResponse&) { std::printf("detached\n"); });
}

int List(const Arguments& arguments) {
  FlagSet flags("sallyport container list", "Lists the containers by id.");
  flags.set_example("sallyport container list --class untrusted-agent --not-enforced");
  CommonFlags common;
  v1::ListContainersRequest request;
  int64_t limit = std::numeric_limits<int32_t>::max();
  common.AddTo(&flags);
  flags.String("class", request.mutable_class_name(), "NAME", "Only containers of this class.");
  flags.String("host", request.mutable_host(), "NAME", "Only containers attached on this host.");
  flags.String("prefix", request.mutable_id_prefix(), "TEXT",
               "Only containers whose id begins so.");
  bool not_enforced = false;
  flags.Bool("not-enforced", &not_enforced,
             "Only containers whose host does not enforce the last change, or refused it.");
  flags.Int("limit", &limit, 1, limit, "N", "Show so many at most.");
  flags.ParseOrExit(arguments);
  request.set_not_enforced(not_enforced);
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  v1::ListContainersResponse all;  // With --json.
  do {
    request.set_page_size(static_cast<int32_t>(std::min<int64_t>(limit, 1000)));
    v1::ListContainersResponse page;
    const grpc::Status status = stub->ListContainers(ContextFor().get(), request, &page);
    if (!status.ok()) return connection.Report(status);
    limit -= page.containers_size();
    request.set_page_token(page.next_page_token());
    for (v1::ContainerStatus& container : *page.mutable_containers()) {
      if (common.json) {
        *all.add_containers() = std::move(container);
      } else {
        PrintContainer(container);
      }
    }
  } while (limit > 0 && !request.page_token().empty());
  if (common.json) {
    all.set_next_page_token(request.page_token());
    PrintJson(all);
  }
  return kDone;
}

int Create(const Arguments& arguments) {
  FlagSet flags("sallyport container create", "Makes a container's record ahead of its attachment.",
                Positional::kAnywhere);
  flags.set_arguments("CONTAINER");
  flags.set_example("sallyport container create web-1 --class untrusted-agent");
  CommonFlags common;
  MutationFlags options;
  std::string class_name;
  common.AddTo(&flags);
  options.AddTo(&flags);
  flags.String("class", &class_name, "NAME", "Its class. Required.");
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1 || class_name.empty())
    return WrongUsage("container create", "give one container id and --class");
  v1::CreateContainerRequest request;
  request.set_container_id(words[0]);
  request.set_class_name(class_name);
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  return Call(connection, stub.get(), &v1::OutboundPolicy::Stub::CreateContainer, request, common,
              [](const v1::CreateContainerResponse& response) {
                std::printf("created   revision %llu\n",
                            static_cast<unsigned long long>(response.revision()));
              });
}

int Attach(const Arguments& arguments) {
  FlagSet flags(
      "sallyport container attach",
      "Makes this host's agent the only way out of a network namespace that has nothing but `lo`. "
      "Where no namespace can be had:\n"
      "--explicit-proxy makes an HTTP proxy for programs that are told of it (HTTP_PROXY, "
      "HTTPS_PROXY), and prints its URL, which holds\n"
      "the credential. They are held to the policy as long as they use it; nothing keeps a process "
      "from going around it.");
  flags.set_example("sallyport container attach --pid 4711 --id web-1 --class untrusted-agent");
  CommonFlags common;
  int64_t pid = 0;
  std::string netns, id, class_name, audit, params;
  bool ephemeral = false;
  bool routed = false;
  bool explicit_proxy = false;
  std::string listen;
  common.AddTo(&flags);
  flags.Int("pid", &pid, 1, 1 << 30, "PID",
            "A process in the namespace; the container is detached when it ends.");
  flags.String("netns", &netns, "PATH", "The namespace by path, as /run/netns/NAME.");
  flags.String("id", &id, "ID", "The container's id, unique in the fleet. Required.");
  flags.String("class", &class_name, "NAME", "Its class. Required.");
  flags.String("params", &params, "JSON",
               "A JSON object that its handlers get beside the rules' params.");
  flags.String("audit", &audit, "FILE", "Write its audit records to this file or FIFO, too.");
  flags.Bool("ephemeral", &ephemeral, "Delete its record when it is detached.");
  flags.Bool(
      "routed", &routed,
      "It keeps its own interfaces, for connections that others open, as to published ports.");
  flags.Bool("explicit-proxy", &explicit_proxy,
             "Make a proxy in place of a namespace: programs can go around it.");
  flags.String("listen", &listen, "ADDRESS:PORT",
               "Where the explicit proxy listens. Default: a free port of 127.0.0.1.");
  flags.ParseOrExit(arguments);
  if (id.empty() || class_name.empty())
    return WrongUsage("container attach", "--id and --class are required");
  if (explicit_proxy && !netns.empty())
    return WrongUsage("container attach", "--explicit-proxy goes without --netns");
  if (!explicit_proxy && !listen.empty())
    return WrongUsage("container attach", "--listen goes with --explicit-proxy");
  if (!explicit_proxy && (pid == 0) == netns.empty())
    return WrongUsage("container attach", "give one of --pid and --netns");
  if (routed && pid != 0 && agent::MayAdministerNetworks(static_cast<pid_t>(pid)).value_or(false)) {
    std::fprintf(
        stderr,
        "sallyport: process %d may have CAP_NET_ADMIN: with it root inside reaches the host's own "
        "interfaces by\nway of the container's. Start it without (setpriv "
        "--bounding-set=-net_admin), or without interfaces and --routed.\n",
        static_cast<int>(pid));
    return kRefused;
  }
  v1::AttachRequest request;
  request.set_container_id(id);
  request.set_class_name(class_name);
  if (pid != 0) request.set_pid(static_cast<int32_t>(pid));
  if (!netns.empty()) request.set_netns_path(netns);
  request.set_audit_path(audit);
  absl::StatusOr<google::protobuf::Struct> parsed = ParseParams(params);
  if (!parsed.ok()) return WrongUsage("container attach", std::string(parsed.status().message()));
  if (!params.empty()) *request.mutable_params() = *std::move(parsed);
  request.set_ephemeral(ephemeral);
  request.set_routed(routed);
  if (explicit_proxy) request.mutable_explicit_proxy()->set_listen(listen);
  const Connection connection(Connection::Server::kAgent, common);
  const auto stub = v1::AgentControl::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &v1::AgentControl::Stub::Attach, request, common,
      [&](const v1::AttachResponse& response) {
        if (explicit_proxy)
          std::fprintf(stderr, "nothing keeps a process from going around an explicit proxy\n");
        std::printf("%s is attached, %s%s\n%s%s%s", id.c_str(),
                    response.policy_enforced()
                        ? "its policy is enforced"
                        : "its policy is not enforced yet, so it reaches nothing: ",
                    response.pending().c_str(), response.explicit_proxy_url().c_str(),
                    explicit_proxy ? "\n" : "", response.ca_certificate_pem().c_str());
      },
      std::chrono::seconds(15));
}

}  // namespace

void AddContainerCommands(std::vector<Command>* commands) {
  commands->push_back({"container list", "Lists the containers.", List});
  commands->push_back({"container get", "Shows a container.", Get});
  commands->push_back(
      {"container create", "Makes a container's record ahead of its attachment.", Create});
  commands->push_back({"container delete", "Deletes a container's record.", Delete});
  commands->push_back(
      {"container attach", "Makes this host's agent the way out of a network namespace.", Attach});
  commands->push_back({"container detach", "Takes a container off this host's agent.", Detach});
}

}  // namespace sallyport::cli
