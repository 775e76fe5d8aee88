// What runs, at a glance.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/command.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::cli {
namespace {

// "is up", or for how long it has been down, and why.
std::string LinkText(const v1::StatusResponse& status) {
  if (status.control_plane_connected()) return "is up";
  const auto lost = std::chrono::seconds(status.control_plane_lost().seconds());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto away = std::chrono::duration_cast<std::chrono::seconds>(now - lost).count();
  return StrCat("is down for ", away,
                " s, the last known policy holds: ", status.control_plane_error());
}

std::string DrainingText(const v1::StatusResponse& status) {
  if (status.draining_proxies() == 0) return "";
  return StrCat("; ", status.draining_proxies(), " that it replaced finish what they have begun");
}

// Limits that were exceeded, by container.
void PrintUsage(const v1::UsageResponse& usage) {
  const v1::UsageResponse::Proxy& proxy = usage.proxy();
  std::printf("in use         %lld of %lld connections, %llu",
              static_cast<long long>(proxy.connections()),
              static_cast<long long>(proxy.max_connections()),
              static_cast<unsigned long long>(proxy.memory_bytes() >> 20));
  if (proxy.max_memory_bytes() > 0)
    std::printf(" of %llu", static_cast<unsigned long long>(proxy.max_memory_bytes() >> 20));
  std::printf(" MiB%s%s\n", proxy.shedding().empty() ? "" : "; short of memory, sheds ",
              proxy.shedding().c_str());
  for (const v1::UsageResponse::Container& container : usage.containers()) {
    for (const v1::UsageResponse::Limit& limit : container.limits()) {
      if (limit.exceeded() == 0) continue;
      std::printf("over budget    %s: %s=%lld, %llu times\n", container.container_id().c_str(),
                  limit.name().c_str(), static_cast<long long>(limit.limit()),
                  static_cast<unsigned long long>(limit.exceeded()));
    }
  }
}

// What the control plane knows of hosts and containers, in short.
struct FleetStatus {
  uint64_t revision = 0;  // Of the newest change.
  int classes = 0;
  int handlers = 0;
  std::map<std::string, v1::WatchResponse::Enforced> hosts;  // By name.
  // Their ids, classes, hosts and revisions, by id; the first thousand.
  std::vector<v1::ContainerStatus> containers;
  bool more_containers = false;
};

// A watch begins with all there is; that is taken, and no more.
grpc::Status ReadHosts(v1::OutboundPolicy::Stub* stub, FleetStatus* fleet) {
  const std::unique_ptr<grpc::ClientContext> context = ContextFor();
  const auto stream = stub->Watch(context.get(), v1::WatchRequest());
  v1::WatchResponse event;
  while (stream->Read(&event)) {
    if (event.updated().has_class_()) ++fleet->classes;
    if (event.updated().has_handler()) ++fleet->handlers;
    if (event.has_enforced()) fleet->hosts[event.enforced().host()] = event.enforced();
    if (event.event_case() != v1::WatchResponse::kInSync) continue;
    fleet->revision = event.in_sync();
    context->TryCancel();
    stream->Finish();
    return grpc::Status::OK;
  }
  return stream->Finish();
}

grpc::Status ReadContainers(v1::OutboundPolicy::Stub* stub, FleetStatus* fleet) {
  v1::ListContainersResponse response;
  const grpc::Status status =
      stub->ListContainers(ContextFor().get(), v1::ListContainersRequest(), &response);
  fleet->more_containers = !response.next_page_token().empty();
  for (const v1::ContainerStatus& full : response.containers()) {
    v1::ContainerStatus& one = fleet->containers.emplace_back();
    one.mutable_policy()->set_container_id(full.policy().container_id());
    one.mutable_policy()->set_class_name(full.policy().class_name());
    one.set_host(full.host());
    one.set_stored_revision(full.stored_revision());
    one.set_enforced_revision(full.enforced_revision());
    one.set_rejection(full.rejection());
  }
  return status;
}

std::string StateOf(const v1::ContainerStatus& container) {
  if (container.host().empty()) return "attached nowhere";
  const std::string wanted = StrCat("revision ", container.stored_revision());
  if (!container.rejection().empty()) return StrCat(wanted, " refused: ", container.rejection());
  if (container.enforced_revision() >= container.stored_revision())
    return StrCat(wanted, " enforced");
  return StrCat(wanted, " not enforced yet, ", container.enforced_revision(), " is");
}

template <typename Messages>
std::string JsonList(const Messages& messages) {
  std::string json = "[";
  for (const auto& message : messages) json += StrCat(json.size() > 1 ? "," : "", ToJson(message));
  return json + "]";
}

grpc::Status ReadFleet(const Connection& control_plane, FleetStatus* fleet) {
  const auto stub = v1::OutboundPolicy::NewStub(control_plane.channel());
  const grpc::Status status = ReadHosts(stub.get(), fleet);
  return status.ok() ? ReadContainers(stub.get(), fleet) : status;
}

// A line for each host.
std::string DescribeHosts(const FleetStatus& fleet) {
  std::map<std::string, int> attached;
  for (const v1::ContainerStatus& container : fleet.containers) ++attached[container.host()];
  std::string text;
  for (const auto& [name, host] : fleet.hosts) {
    text += absl::StrFormat(
        "host           %-24s %-9s  revision %u enforced, %d containers%s\n", name,
        host.connected() ? "connected" : "away", host.revision(), attached[name],
        host.rejected().empty() ? "" : StrCat(", ", host.rejected_size(), " resources refused"));
  }
  return text;
}

// A line for each container.
std::string DescribeContainers(const FleetStatus& fleet) {
  std::string text;
  for (const v1::ContainerStatus& container : fleet.containers) {
    text += absl::StrFormat("container      %-24s %-20s %-20s %s\n",
                            container.policy().container_id(), container.policy().class_name(),
                            container.host().empty() ? "-" : container.host(), StateOf(container));
  }
  if (fleet.more_containers)
    text += "container      … and more; `sallyport container list` has all\n";
  return text;
}

// `"revision":"42","classes":…,"handlers":…,"hosts":[…],"containers":[…]`.
std::string FleetJson(const FleetStatus& fleet) {
  std::vector<v1::WatchResponse::Enforced> hosts;
  for (const auto& [name, host] : fleet.hosts) hosts.push_back(host);
  return StrCat("\"revision\":\"", fleet.revision, "\",\"classes\":", fleet.classes,
                ",\"handlers\":", fleet.handlers, ",\"hosts\":", JsonList(hosts),
                ",\"containers\":", JsonList(fleet.containers));
}

int Status(const Arguments& arguments) {
  FlagSet flags(
      "sallyport status",
      "What the agent of this host is doing, and the control plane's hosts and containers.");
  flags.set_example("sallyport status");
  CommonFlags common;
  common.AddTo(&flags);
  flags.ParseOrExit(arguments);

  const Connection agent(Connection::Server::kAgent, common);
  v1::StatusResponse status;
  grpc::Status agent_call = v1::AgentControl::NewStub(agent.channel())
                                ->Status(ContextFor().get(), v1::StatusRequest(), &status);
  v1::UsageResponse usage;
  const bool has_usage =
      agent_call.ok() && v1::AgentControl::NewStub(agent.channel())
                             ->Usage(ContextFor().get(), v1::UsageRequest(), &usage)
                             .ok();
  const Connection control_plane(Connection::Server::kControlPlane, common);
  FleetStatus fleet;
  const grpc::Status control_plane_call = ReadFleet(control_plane, &fleet);

  if (common.json) {
    std::printf("{\"agent\":%s,\"usage\":%s,\"controlPlane\":{\"reachable\":%s,%s}}\n",
                agent_call.ok() ? ToJson(status).c_str() : "{}",
                has_usage ? ToJson(usage).c_str() : "{}",
                control_plane_call.ok() ? "true" : "false", FleetJson(fleet).c_str());
  } else {
    if (agent_call.ok()) {
      std::printf("agent          %s, host %s, revision %llu\n", agent.address().c_str(),
                  status.host_name().c_str(),
                  static_cast<unsigned long long>(status.enforced_revision()));
      std::printf("proxy          process %d, started again %llu times%s\n", status.proxy_pid(),
                  static_cast<unsigned long long>(status.proxy_restarts()),
                  DrainingText(status).c_str());
      std::printf("its link       %s %s\n", status.control_plane().c_str(),
                  LinkText(status).c_str());
    }
    if (has_usage) PrintUsage(usage);
    if (control_plane_call.ok()) {
      std::printf("control plane  %s, revision %llu, %d classes, %d handlers\n",
                  control_plane.address().c_str(), static_cast<unsigned long long>(fleet.revision),
                  fleet.classes, fleet.handlers);
      std::printf("%s%s", DescribeHosts(fleet).c_str(), DescribeContainers(fleet).c_str());
    }
  }
  int exit = kDone;
  if (!agent_call.ok()) exit = agent.Report(agent_call);
  if (!control_plane_call.ok()) {
    // An agent that enforces alone is worth seeing, and is not an error of this command.
    const int reported = control_plane.Report(control_plane_call);
    if (!agent_call.ok()) exit = reported;
  }
  return exit;
}

}  // namespace

void AddStatusCommand(std::vector<Command>* commands) {
  commands->push_back({"status", "What the agent and the control plane are doing.", Status});
}

}  // namespace sallyport::cli
