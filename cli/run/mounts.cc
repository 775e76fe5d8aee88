#include "cli/run/mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "agent/attach/trust.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {
namespace {

constexpr char kResolvConf[] =
    "# Every query is answered by Sallyport, whatever server it is sent to.\nnameserver "
    "192.0.2.2\n";
constexpr char kResolvConfSource[] = "/run/resolv.conf";

absl::Status Failed(const std::string& what) {
  return absl::ErrnoToStatus(errno, "cannot " + what);
}

absl::Status WriteFile(const std::string& path, const std::string& content) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return Failed("write " + path);
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t written = write(file.get(), content.data() + done, content.size() - done);
    if (written <= 0) return Failed("write " + path);
    done += static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

absl::Status MountCertificates(const std::string& folder, const std::string& ca_certificate,
                               const std::string& bundle) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("sallyport", folder.c_str(), "tmpfs", flags, "mode=0755,size=8m") != 0) {
    return Failed(StrCat("mount ", folder));
  }
  RETURN_IF_ERROR(WriteCertificates(folder, ca_certificate, bundle));
  if (mount(nullptr, folder.c_str(), nullptr, flags | MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
    return Failed(StrCat("make ", folder, " read-only"));
  }
  return absl::OkStatus();
}

// For programs that read none of the variables: apt, wget, and what uses libcurl.
absl::Status MountSystemBundle(const std::string& bundle) {
  const absl::StatusOr<std::string> system = agent::FindSystemBundle("");
  if (!system.ok()) return absl::OkStatus();
  if (mount(bundle.c_str(), system->c_str(), nullptr, MS_BIND, nullptr) != 0)
    return Failed(StrCat("mount over ", *system));
  return absl::OkStatus();
}

// The file that /etc/resolv.conf stands for may itself be in /run, which is empty by now.
absl::Status MountResolvConf(const std::string& target) {
  if (target.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFile(kResolvConfSource, kResolvConf));
  if (target.rfind("/run/", 0) == 0) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(target).parent_path(), error);
    return WriteFile(target, kResolvConf);
  }
  if (mount(kResolvConfSource, target.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return Failed("mount over " + target);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteCertificates(const std::string& folder, const std::string& ca_certificate,
                               const std::string& bundle) {
  RETURN_IF_ERROR(WriteFile(StrCat(folder, "/", agent::kCaFileName), ca_certificate));
  return WriteFile(StrCat(folder, "/", agent::kBundleFileName), bundle);
}

absl::Status PrepareMounts(const std::string& certificates, const std::string& ca_certificate,
                           const std::string& bundle, const std::string& services) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Failed("make mounts private");
  std::error_code error;
  const std::string resolv_conf = std::filesystem::canonical("/etc/resolv.conf", error).string();
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return Failed("mount /proc");
  // Before /run: they may be there.
  if (!services.empty() && mount("sallyport", services.c_str(), "tmpfs",
                                 MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k") != 0)
    return Failed("mount over " + services);
  if (mount("sallyport", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0)
    return Failed("mount over /run");
  RETURN_IF_ERROR(MountCertificates(certificates, ca_certificate, bundle));
  RETURN_IF_ERROR(MountSystemBundle(StrCat(certificates, "/", agent::kBundleFileName)));
  return MountResolvConf(error ? "" : resolv_conf);
}

}  // namespace sallyport::cli
