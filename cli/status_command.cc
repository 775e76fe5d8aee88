// What runs, at a glance.

#include <chrono>
#include <memory>
#include <string>

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

int Status(const Arguments& arguments) {
  FlagSet flags("sallyport status", "What the agent of this host and the control plane are doing.");
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
  v1::ListClassesResponse classes;
  const grpc::Status control_plane_call =
      v1::OutboundPolicy::NewStub(control_plane.channel())
          ->ListClasses(ContextFor().get(), v1::ListClassesRequest(), &classes);

  if (common.json) {
    std::printf("{\"agent\":%s,\"usage\":%s,\"controlPlane\":{\"reachable\":%s,\"classes\":%d}}\n",
                agent_call.ok() ? ToJson(status).c_str() : "{}",
                has_usage ? ToJson(usage).c_str() : "{}",
                control_plane_call.ok() ? "true" : "false", classes.classes_size());
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
      std::printf("control plane  %s, %d classes\n", control_plane.address().c_str(),
                  classes.classes_size());
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
