#include "agent/config.h"

#include <pwd.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include "absl/strings/str_split.h"
#include "agent/proxy/limits.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/version.h"
#include "common/flags/flags.h"
#include "common/metrics/status_server.h"
#include "common/net/address.h"

namespace sallyport::agent {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr char kProxyName[] = "sallyport-proxy";

std::string DefaultHostName() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

// Beside this program, in a build tree's folder for it, or where packages put it.
std::string DefaultProxyBinary() {
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const auto& folder : {here, here / "proxy"}) {
    const std::string path = folder / kProxyName;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return std::string("/usr/lib/sallyport/") + kProxyName;
}

std::vector<std::string> DefaultResolvers() {
  std::ifstream file("/etc/resolv.conf");
  return ResolversOf(std::string(std::istreambuf_iterator<char>(file), {}));
}

absl::Status CheckUnixAddress(std::string_view flag, const std::string& address) {
  if (address.starts_with("unix:/") &&
      address.size() - kUnixPrefix.size() < sizeof(sockaddr_un::sun_path)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(StrCat(flag, " ", Quote(address),
                                           ": write unix: and an absolute path of at most ",
                                           sizeof(sockaddr_un::sun_path) - 1, " bytes"));
}

// Policy that travels without TLS must not leave the host: who can change it on the way decides
// what containers may do.
absl::Status CheckControlPlane(const std::string& address, bool tls) {
  if (address.starts_with(kUnixPrefix)) return CheckUnixAddress("--control-plane", address);
  for (const std::string_view host : {"127.0.0.1:", "[::1]:", "localhost:"}) {
    if (address.starts_with(host)) return absl::OkStatus();
  }
  const size_t colon = address.rfind(':');
  if (tls && colon != address.npos && colon > 0 && colon + 1 < address.size() &&
      address.find_first_not_of("0123456789", colon + 1) == address.npos &&
      address.find('/') == address.npos) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      tls ? StrCat("--control-plane ", Quote(address), ": write HOST:PORT or unix:/PATH")
          : StrCat("--control-plane ", Quote(address),
                   ": without TLS it must be on this host; write unix:/PATH or 127.0.0.1:PORT, or "
                   "give --tls-dir"));
}

absl::Status CheckResolver(const std::string& text) {
  std::string_view host = text;
  std::string_view port = "53";
  if (const size_t close = host.find(']'); host.starts_with('[') && close != host.npos) {
    if (host.substr(close + 1).starts_with(':')) port = host.substr(close + 2);
    host = host.substr(1, close - 1);
  } else if (const size_t colon = host.find(':');
             colon != host.npos && host.find(':', colon + 1) == host.npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  const bool digits =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos;
  const int number = digits ? std::atoi(std::string(port).c_str()) : 0;
  if (IpAddress::Parse(host).ok() && number >= 1 && number <= 65535) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat("--resolver ", Quote(text), ": write ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT"));
}

}  // namespace

std::string Config::socket_path() const { return socket.substr(kUnixPrefix.size()); }

Config ConfigFromFlagsOrExit(const std::vector<std::string>& arguments) {
  Config config;
  // What depends on the machine is filled in below, so that --help says the same on each.
  config.workers = 0;

  FlagSet flags(
      "sallyport-agent",
      "The only way out of this host's containers: prepares their networks, keeps the proxy "
      "running, and has it enforce the control plane's policy. Runs as root.");
  flags.String("control-plane", &config.control_plane, "ADDRESS",
               "Where sallyportd listens: unix:/PATH or HOST:PORT. Without --tls-dir HOST must be "
               "this host's loopback.");
  flags.String(
      "tls-dir", &config.tls_dir, "DIR",
      "tls.crt, tls.key, ca.crt of role agent with this host's name (`sallyport pki issue "
      "agent`): HOST:PORT is then dialled with mutual TLS. Read anew for each connection.");
  flags.String("host-name", &config.host_name, "NAME",
               "This host's name in the fleet; unique. Default: its name in the network.");
  flags.String("state-dir", &config.state_dir, "DIR", "Where the last known policy is kept.");
  flags.String("run-dir", &config.run_dir, "DIR",
               "Where the host finds containers' CA certificates, and handlers put their sockets.");
  flags.String("socket", &config.socket, "ADDRESS",
               "Where this agent listens for the CLI: unix:/PATH.");
  flags.String("proxy-binary", &config.proxy_binary, "FILE",
               "The program sallyport-proxy. Default: the one beside this program, or in "
               "/usr/lib/sallyport.");
  flags.String("proxy-user", &config.proxy_user, "USER", "Whom the proxy runs as.");
  flags.String(
      "origin-roots", &config.origin_roots, "FILE",
      "Root certificates (PEM) by which the proxy verifies origins. Default: the system's.");
  flags.StringList("handler-socket-dir", &config.handler_socket_dirs, "DIR",
                   "Where handlers' Unix sockets may be; the agent connects to no other, whatever "
                   "is registered. Repeatable. Default: handlers in the run directory.");
  flags.String("handler-certificate", &config.handler_certificate, "FILE",
               "Certificate chain (PEM) that handlers are shown which are registered with "
               "--client-certificate. Read anew when it changes. Default: tls.crt of --tls-dir.");
  flags.String("handler-key", &config.handler_key, "FILE",
               "Its key (PEM). The proxy is given it; a key of its own keeps the agent's from it.");
  flags.StringList(
      "resolver", &config.resolvers, "ADDRESS",
      "Name server to ask for containers: ADDRESS[:PORT]. Repeatable. Default: those of "
      "/etc/resolv.conf.");
  flags.StringList(
      "open-range", &config.open_ranges, "CIDR",
      "Network that containers may be allowed to reach although it is private, loopback or "
      "link-local. Repeatable.");
  flags.String("audit", &config.audit, "FILE",
               "Where every decision is recorded, a JSON line each: a file, a FIFO, or stdout. "
               "Default: audit.jsonl in the state directory.");
  flags.Int(
      "audit-max-mib", &config.audit_max_mib, 0, 1'048'576, "N",
      "Size at which the file of --audit becomes FILE.1, and that FILE.2, and so on. 0: none.");
  flags.Int("audit-keep", &config.audit_keep, 1, 10'000, "N", "How many of them are kept.");
  flags.Bool("trace", &config.start_traces,
             "Give requests that have no `traceparent` (W3C Trace Context) one, sampled, with a "
             "trace id of their own; the audit record has it.");
  flags.String("metrics", &config.metrics, "ADDRESS:PORT",
               "Serves /metrics (Prometheus), /healthz and /readyz there over plain HTTP: "
               "127.0.0.1:9464, or "
               "another port of loopback. Default: nowhere.");
  flags.String("secrets-dir", &config.secrets_dir, "DIR",
               "Files that built-in handlers may take secrets from are below it.");
  flags.Int("workers", &config.workers, 0, 256, "N",
            "Threads of the proxy. 0: one for each processor.");
  flags.Int(
      "max-memory-mib", &config.max_memory_mib, 0, 16'777'216, "N",
      "MiB of memory of the proxy near which it sheds load. 0: the limit of its cgroup, if it "
      "has one.");
  flags.Duration("drain-limit", &config.drain_limit, "TIME",
                 "How long a proxy that was replaced may take to finish what it has begun, as 60s; "
                 "then it is cut off.");
  flags.Bool("keeper", &config.keeper,
             "Run the agent below a small process that starts it anew when it ends, and keeps "
             "containers' sockets meanwhile: for hosts without systemd.");
  flags.Duration("keep-for", &config.keep_for, "TIME",
                 "With --keeper: how long containers are served while no agent can be started, as "
                 "60s; then they have no way out.");
  flags.StringList(
      "limit", &config.limits, "NAME=VALUE",
      "What one container may use, as connections=1000: docs/operations.md lists names "
      "and defaults. Repeatable.");
  flags.set_example(
      "sallyport-agent --control-plane unix:/run/sallyport/controlplane.sock --host-name host-7");
  flags.set_version(StrCat("sallyport-agent ", kVersion));
  flags.ParseOrExit(arguments);

  if (config.host_name.empty()) config.host_name = DefaultHostName();
  if (config.proxy_binary.empty()) config.proxy_binary = DefaultProxyBinary();
  if (config.resolvers.empty()) config.resolvers = DefaultResolvers();
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  if (config.handler_socket_dirs.empty())
    config.handler_socket_dirs.push_back(config.run_dir + "/handlers");
  if (config.audit.empty()) config.audit = config.state_dir + "/audit.jsonl";
  if (const absl::Status status = CheckConfig(config); !status.ok()) {
    std::fprintf(stderr, "sallyport-agent: %s\nTry: sallyport-agent --help\n",
                 std::string(status.message()).c_str());
    std::exit(2);
  }
  return config;
}

absl::Status CheckConfig(const Config& config) {
  RETURN_IF_ERROR(CheckControlPlane(config.control_plane, !config.tls_dir.empty()));
  RETURN_IF_ERROR(CheckUnixAddress("--socket", config.socket));
  if (config.host_name.empty())
    return absl::InvalidArgumentError("--host-name is empty; write a name");
  for (const auto& [flag, path] :
       {std::pair<std::string_view, const std::string&>{"--state-dir", config.state_dir},
        {"--run-dir", config.run_dir},
        {"--proxy-binary", config.proxy_binary},
        {"--secrets-dir", config.secrets_dir}}) {
    if (path.empty() || path.front() != '/') {
      return absl::InvalidArgumentError(StrCat(flag, " ", Quote(path), ": write an absolute path"));
    }
  }
  if (config.audit != kStdout && (config.audit.empty() || config.audit.front() != '/')) {
    return absl::InvalidArgumentError(
        StrCat("--audit ", Quote(config.audit), ": write an absolute path, or stdout"));
  }
  if (config.handler_certificate.empty() != config.handler_key.empty()) {
    return absl::InvalidArgumentError(
        "--handler-certificate and --handler-key go together; give both or none");
  }
  for (const std::string& directory : config.handler_socket_dirs) {
    if (directory.size() < 2 || directory.front() != '/' || directory.back() == '/') {
      return absl::InvalidArgumentError(
          StrCat("--handler-socket-dir ", Quote(directory),
                 ": write an absolute path without a slash at its end"));
    }
  }
  if (!config.metrics.empty()) RETURN_IF_ERROR(CheckStatusAddress("--metrics", config.metrics));
  if (access(config.proxy_binary.c_str(), X_OK) != 0) {
    return absl::InvalidArgumentError(StrCat("the proxy ", Quote(config.proxy_binary),
                                             " is not there; name it with --proxy-binary"));
  }
  if (getpwnam(config.proxy_user.c_str()) == nullptr) {
    return absl::InvalidArgumentError(StrCat("there is no user ", Quote(config.proxy_user),
                                             "; make one (useradd --system --no-create-home ",
                                             config.proxy_user,
                                             ") or name another with --proxy-user"));
  }
  for (const std::string& resolver : config.resolvers) RETURN_IF_ERROR(CheckResolver(resolver));
  for (const std::string& range : config.open_ranges) {
    if (const absl::Status status = Cidr::Parse(range).status(); !status.ok()) {
      return absl::InvalidArgumentError(
          StrCat("--open-range ", Quote(range), ": ", status.message()));
    }
  }
  for (const std::string& limit : config.limits) {
    if (const absl::Status status = proxy::ParseLimit(limit).status(); !status.ok()) {
      return absl::InvalidArgumentError(StrCat("--limit ", Quote(limit), ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> ResolversOf(std::string_view resolv_conf) {
  std::vector<std::string> resolvers;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(resolv_conf), '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2 || words[0] != "nameserver") continue;
    // Addresses with a zone are not for the proxy.
    if (IpAddress::Parse(ToStd(words[1])).ok()) resolvers.emplace_back(words[1]);
  }
  return resolvers;
}

}  // namespace sallyport::agent
