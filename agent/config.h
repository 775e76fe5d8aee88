// What the agent was told on its command line.

#ifndef SALLYPORT_AGENT_CONFIG_H_
#define SALLYPORT_AGENT_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::agent {

inline constexpr char kVersion[] = "0.1.0";

struct Config {
  std::string control_plane = "unix:/run/sallyport/controlplane.sock";
  std::string host_name;  // Default: this host's.
  std::string state_dir = "/var/lib/sallyport-agent";
  std::string run_dir = "/run/sallyport";
  std::string socket = "unix:/run/sallyport/agent.sock";
  std::string proxy_binary;  // Default: beside the agent, else in /usr/lib/sallyport.
  std::string proxy_user = "sallyport-proxy";
  std::vector<std::string> resolvers;  // Default: the nameservers of /etc/resolv.conf.
  std::vector<std::string> open_ranges;
  std::string origin_roots = "/etc/ssl/certs/ca-certificates.crt";
  std::string audit;  // Default: audit.jsonl in the state directory.
  int64_t workers;    // Default: one a core.

  // Fills in the defaults. Prints help or an error and exits, if so asked or if the flags are
  // wrong.
  static Config ParseOrExit(int argc, char** argv);
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONFIG_H_
