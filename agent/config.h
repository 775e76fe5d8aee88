// What sallyport-agent is told on its command line. There is no other configuration.

#ifndef SALLYPORT_AGENT_CONFIG_H_
#define SALLYPORT_AGENT_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::agent {

inline constexpr char kStdout[] = "stdout";

struct Config {
  std::string control_plane = "unix:/run/sallyport/controlplane.sock";
  std::string tls_dir;  // Empty: no TLS.
  std::string host_name;
  std::string state_dir = "/var/lib/sallyport-agent";
  std::string run_dir = "/run/sallyport";
  std::string socket = "unix:/run/sallyport/agent.sock";
  std::string proxy_binary;
  std::string proxy_user = "sallyport-proxy";
  std::vector<std::string> handler_socket_dirs;
  std::string origin_roots;  // Empty: the proxy's default.
  std::vector<std::string> resolvers;
  std::vector<std::string> open_ranges;
  std::string audit;            // A path, or kStdout.
  int64_t audit_max_mib = 256;  // 0: no limit.
  int64_t audit_keep = 8;
  bool start_traces = false;
  std::string metrics;  // ADDRESS:PORT; empty: none are served.
  std::string secrets_dir = "/etc/sallyport/secrets";
  // What handlers are shown; empty: tls.crt and tls.key in tls_dir, if there is one.
  std::string handler_certificate;
  std::string handler_key;
  int64_t workers = 1;
  int64_t max_memory_mib = 0;  // 0: the limit of the cgroup alone counts.
  std::chrono::milliseconds drain_limit{60'000};
  bool keeper = false;
  std::chrono::milliseconds keep_for{60'000};
  std::vector<std::string> limits;  // NAME=VALUE; a later one of a name wins.

  // Of the socket's file.
  std::string socket_path() const;
};

// Of the arguments after the program's name. --help, --version and errors end the program (0, 0,
// 2).
Config ConfigFromFlagsOrExit(const std::vector<std::string>& arguments);

// INVALID_ARGUMENT with a sentence that names the flag.
absl::Status CheckConfig(const Config& config);

// The name servers of a resolv.conf that the proxy can ask, in order.
std::vector<std::string> ResolversOf(std::string_view resolv_conf);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONFIG_H_
