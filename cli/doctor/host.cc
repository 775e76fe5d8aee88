#include "cli/doctor/host.h"

#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "agent/attach/trust.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {
namespace {

constexpr char kProxyUser[] = "sallyport-proxy";

Finding CheckRoot() {
  if (geteuid() == 0) return {"rights", true, "root", ""};
  return {"rights", false, "not root: agents and sandboxes cannot be looked into",
          "run this as root"};
}

Finding CheckProxyUser() {
  if (getpwnam(kProxyUser) != nullptr) return {"proxy's user", true, kProxyUser, ""};
  return {"proxy's user", false, StrCat("there is no user ", kProxyUser),
          "install the package sallyport-agent, or `useradd --system --no-create-home "
          "sallyport-proxy`"};
}

Finding CheckRoots() {
  const auto bundle = agent::FindSystemBundle("");
  if (bundle.ok()) return {"roots", true, *bundle, ""};
  return {"roots", false, "there are no root certificates to verify origins with",
          "install the package ca-certificates"};
}

// In a thread, which takes the namespace with it.
Finding CheckNamespace() {
  std::string failed;
  std::thread([&failed] {
    const int one = 1;
    if (unshare(CLONE_NEWNET) != 0) {
      failed = StrCat("no network namespace can be made: ", std::strerror(errno));
      return;
    }
    for (const int family : {AF_INET, AF_INET6}) {
      const UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int set =
          family == AF_INET
              ? setsockopt(socket.get(), IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one))
              : setsockopt(socket.get(), IPPROTO_IPV6, IPV6_TRANSPARENT, &one, sizeof(one));
      if (set == 0) continue;
      failed = StrCat("no transparent socket of IPv", family == AF_INET ? 4 : 6,
                      " can be made: ", std::strerror(errno));
      return;
    }
  }).join();
  if (failed.empty()) return {"namespaces", true, "with transparent sockets", ""};
  return {"namespaces", false, failed,
          "run this as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN, on a kernel with IPv4 and IPv6"};
}

}  // namespace

Finding CheckKernel(std::string_view release) {
  int major = 0, minor = 0;
  const std::string text(release);
  if (std::sscanf(text.c_str(), "%d.%d", &major, &minor) != 2)
    return {"kernel", false, StrCat("`", text, "` is no version"), "use Linux 5.13 or newer"};
  const int version = major * 1000 + minor;
  if (version >= 5013) return {"kernel", true, text, ""};
  if (version >= 5009)
    return {"kernel", true, StrCat(text, ", without Landlock: one wall less for the proxy"), ""};
  return {"kernel", false, StrCat(text, " is too old"), "use Linux 5.13 or newer"};
}

std::vector<Finding> CheckHost() {
  utsname name = {};
  uname(&name);
  return {CheckRoot(), CheckKernel(name.release), CheckNamespace(), CheckProxyUser(), CheckRoots()};
}

}  // namespace sallyport::cli
