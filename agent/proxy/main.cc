// sallyport-proxy: the data plane of one host. Started by sallyport-agent, which hands it sockets
// and policy.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "agent/proxy/control.h"
#include "agent/proxy/memory_usage.h"
#include "agent/proxy/privileges.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "common/base/version.h"
#include "common/flags/flags.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// The leak check reads /proc, which the proxy cannot see any more.
extern "C" int __lsan_is_turned_off() { return 1; }
#endif
#endif

namespace sallyport::proxy {
namespace {

absl::StatusOr<std::shared_ptr<const UpstreamTls::Roots>> ReadRoots(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return absl::NotFoundError(
        "cannot read " + path +
        "; install the package ca-certificates, or name a bundle with --origin-roots");
  const std::string pem((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return UpstreamTls::ParseRoots(pem);
}

int Main(int argc, char** argv) {
  int64_t control_fd = -1;
  std::string user = "sallyport-proxy";
  std::string roots_path = "/etc/ssl/certs/ca-certificates.crt";
  FlagSet flags("sallyport-proxy",
                "The data plane of one host. Not for use by hand: sallyport-agent starts it.");
  flags.Int("control-fd", &control_fd, 0, 1'000'000, "N",
            "Descriptor of the door through which the agent opens sessions. Required.");
  flags.String("user", &user, "NAME", "The user to run as.");
  flags.String("origin-roots", &roots_path, "FILE",
               "Certificates (PEM) that origins are verified with.");
  flags.set_version(StrCat("sallyport-proxy ", kVersion));
  flags.ParseOrExit({argv + 1, argv + argc});
  SetLogProgram("sallyport-proxy");
  if (control_fd < 0) {
    LogError("--control-fd is missing: the proxy is started by sallyport-agent");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  // The agent stops the proxy by its own means; a Ctrl-C meant for the agent must not race
  // with that.
  signal(SIGINT, SIG_IGN);
  // These are for the agent, which tells us what they mean; a service manager may send them to all.
  signal(SIGUSR1, SIG_IGN);
  signal(SIGUSR2, SIG_IGN);

  absl::StatusOr<std::shared_ptr<const UpstreamTls::Roots>> roots = ReadRoots(roots_path);
  if (!roots.ok()) {
    LogError(roots.status().message());
    return 1;
  }
  MemoryUsage memory_usage = MemoryUsage::Open();
  if (const absl::Status dropped = DropPrivileges(user); !dropped.ok()) {
    LogError(dropped.message());
    return 1;
  }
  Control control(UniqueFd(static_cast<int>(control_fd)), *std::move(roots),
                  std::move(memory_usage));
  const absl::Status status = control.Run();
  if (!status.ok()) {
    LogError("the agent cannot be heard: ", status.message());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace sallyport::proxy

int main(int argc, char** argv) { return sallyport::proxy::Main(argc, argv); }
