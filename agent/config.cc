#include "agent/config.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/base/strings.h"
#include "common/flags/flags.h"
#include "common/net/address.h"

namespace sallyport::agent {
namespace {

constexpr int64_t kMaxWorkers = 256;

[[noreturn]] void Refuse(const std::string& message) {
  std::fprintf(stderr, "sallyport-agent: %s; see `sallyport-agent --help`\n", message.c_str());
  std::exit(2);
}

std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
}

// In a build tree the proxy is a folder below.
std::string ProxyBinary() {
  std::error_code error;
  const std::filesystem::path here =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& folder :
       {here, here / "proxy", std::filesystem::path("/usr/lib/sallyport")}) {
    const std::string path = (folder / "sallyport-proxy").string();
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

// The nameservers of resolv.conf(5).
std::vector<std::string> SystemResolvers() {
  std::vector<std::string> resolvers;
  std::ifstream file("/etc/resolv.conf");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string keyword, address;
    if (words >> keyword >> address && keyword == "nameserver" && IpAddress::Parse(address).ok())
      resolvers.push_back(address);
  }
  return resolvers;
}

}  // namespace

Config Config::ParseOrExit(int argc, char** argv) {
  Config config;
  config.host_name = HostName();
  config.workers = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, kMaxWorkers);
  FlagSet flags("sallyport-agent",
                "The only way out of this host's containers. One a host, as root; it starts and "
                "watches sallyport-proxy.");
  flags.set_example(
      "sallyport-agent --control-plane unix:/run/sallyport/controlplane.sock --resolver "
      "192.0.2.53");
  flags.set_version(StrCat("sallyport-agent ", kVersion));
  flags.String("control-plane", &config.control_plane, "ADDRESS",
               "Where sallyportd listens: unix:/PATH or HOST:PORT.");
  flags.String("host-name", &config.host_name, "NAME", "This host's unique name in the fleet.");
  flags.String("state-dir", &config.state_dir, "DIR", "Where the last-known policy is kept.");
  flags.String("run-dir", &config.run_dir, "DIR",
               "Where what must not outlive the machine is kept, in memory.");
  flags.String("socket", &config.socket, "unix:/PATH",
               "Where the agent takes calls of this host's superuser.");
  flags.String(
      "proxy-binary", &config.proxy_binary, "FILE",
      "The program sallyport-proxy. Default: beside the agent, else in /usr/lib/sallyport.");
  flags.String("proxy-user", &config.proxy_user, "NAME", "The user that the proxy runs as.");
  flags.StringList("resolver", &config.resolvers, "ADDRESS[:PORT]",
                   "Resolvers to ask. Repeatable. Default: the nameservers of /etc/resolv.conf.");
  flags.StringList("open-range", &config.open_ranges, "CIDR",
                   "A private or reserved range that containers may reach. Repeatable.");
  flags.String("origin-roots", &config.origin_roots, "FILE",
               "Certificates (PEM) that origins are verified with.");
  flags.String("audit", &config.audit, "FILE",
               "Where audit records are appended. Default: audit.jsonl in the state directory.");
  flags.Int("workers", &config.workers, 1, kMaxWorkers, "N", "Threads of the data plane.");
  flags.ParseOrExit({argv + 1, argv + argc});

  if (config.host_name.empty()) Refuse("this host has no name: give it one with --host-name");
  if (config.socket.rfind("unix:", 0) != 0)
    Refuse("--socket must be unix:/PATH: the agent takes calls of its own host only");
  for (const std::string& range : config.open_ranges) {
    if (const auto cidr = Cidr::Parse(range); !cidr.ok())
      Refuse(StrCat("--open-range: ", cidr.status().message()));
  }
  if (config.proxy_binary.empty()) config.proxy_binary = ProxyBinary();
  if (config.proxy_binary.empty())
    Refuse("cannot find sallyport-proxy: name it with --proxy-binary");
  if (config.resolvers.empty()) config.resolvers = SystemResolvers();
  if (config.audit.empty()) config.audit = config.state_dir + "/audit.jsonl";
  return config;
}

}  // namespace sallyport::agent
