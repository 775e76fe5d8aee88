#include "common/pki/tls_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "common/pki/openssl.h"

namespace sallyport::pki {
namespace {

constexpr size_t kMaxFile = 16 << 20;  // A revocation list may be long.
constexpr std::chrono::hours kWarnBefore{14 * 24};
constexpr std::chrono::hours kWarnEvery{24};

absl::Status CannotRead(const std::string& path, int error) {
  return absl::FailedPreconditionError(
      StrCat("cannot read ", path, ": ", strerror(error),
             "; `sallyport pki issue` makes tls.crt, tls.key and ca.crt"));
}

absl::StatusOr<std::string> ReadFile(const std::string& path, bool secret) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info = {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return CannotRead(path, errno);
  if (secret && (info.st_mode & 07) != 0) {
    return absl::FailedPreconditionError(
        StrCat(path, " is open to every user of this machine; chmod 600 it"));
  }
  std::string content;
  char piece[16 * 1024];
  while (content.size() <= kMaxFile) {
    const ssize_t count = ::read(file.get(), piece, sizeof(piece));
    if (count == 0) return content;
    if (count < 0 && errno != EINTR) return CannotRead(path, errno);
    if (count > 0) content.append(piece, static_cast<size_t>(count));
  }
  return absl::FailedPreconditionError(StrCat(path, " is larger than 16 MiB"));
}

// Changes whenever a file is replaced or written.
std::string StampOf(const std::string& dir) {
  std::string stamp;
  for (const char* name : {"tls.crt", "tls.key", "ca.crt", "crl.pem"}) {
    struct stat info = {};
    if (::stat(StrCat(dir, "/", name).c_str(), &info) != 0) info = {};
    stamp +=
        StrCat(info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec,
               " ", info.st_ctim.tv_sec, " ", info.st_ctim.tv_nsec, "\n");
  }
  return stamp;
}

absl::Status CheckRole(const Identity& identity, Side side) {
  if ((side == Side::kServer) == (identity.role == Role::kServer)) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat(
      "tls.crt is of ", identity.ToString(), ", and ",
      side == Side::kServer ? "this program serves: it needs one of role server"
                            : "role server is for sallyportd: this program needs another one"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsMaterial>> LoadTlsDirectory(const std::string& dir,
                                                                    Side side, Time now) {
  const auto in_dir = [&](const absl::Status& status) {
    return absl::FailedPreconditionError(StrCat(dir, ": ", status.message()));
  };
  auto material = std::make_shared<TlsMaterial>();
  ASSIGN_OR_RETURN(material->certificate_pem, ReadFile(dir + "/tls.crt", /*secret=*/false));
  ASSIGN_OR_RETURN(material->key_pem, ReadFile(dir + "/tls.key", /*secret=*/true));
  ASSIGN_OR_RETURN(material->authorities_pem, ReadFile(dir + "/ca.crt", /*secret=*/false));
  std::string revocations;
  const std::string list = dir + "/crl.pem";
  // Only a list that is not there means that nothing is revoked.
  if (struct stat info = {}; ::stat(list.c_str(), &info) == 0 || errno != ENOENT) {
    ASSIGN_OR_RETURN(revocations, ReadFile(list, /*secret=*/false));
    if (revocations.empty()) {
      return in_dir(absl::FailedPreconditionError("crl.pem is empty; remove it or write it anew"));
    }
  }

  absl::StatusOr<Trust> trust = Trust::FromPem(material->authorities_pem, revocations);
  if (!trust.ok()) return in_dir(trust.status());
  material->trust = *std::move(trust);
  const absl::StatusOr<Certificate> certificate = Certificate::FromPem(material->certificate_pem);
  if (!certificate.ok()) {
    return in_dir(absl::InvalidArgumentError(StrCat("tls.crt ", certificate.status().message())));
  }
  material->certificate = *certificate;
  const KeyPtr key = KeyOf(material->key_pem);
  if (key == nullptr) return in_dir(absl::InvalidArgumentError("tls.key holds no key (PEM)"));
  if (X509_check_private_key(certificate->get(), key.get()) != 1) {
    ERR_clear_error();
    return in_dir(absl::InvalidArgumentError("tls.key is not the key of tls.crt"));
  }
  absl::StatusOr<Identity> identity = certificate->identity();
  if (!identity.ok()) return in_dir(identity.status());
  material->identity = *std::move(identity);
  if (const absl::Status role = CheckRole(material->identity, side); !role.ok()) {
    return in_dir(role);
  }
  const absl::Status verified =
      material->trust.Verify("tls.crt", material->certificate_pem, material->identity.role, now);
  if (!verified.ok()) return in_dir(verified);
  return material;
}

TlsFiles::TlsFiles(std::string dir, Side side, std::chrono::milliseconds interval,
                   std::function<Time()> now)
    : dir_(std::move(dir)), side_(side), interval_(interval), now_(std::move(now)) {}

absl::StatusOr<std::unique_ptr<TlsFiles>> TlsFiles::Open(const std::string& dir, Side side,
                                                         std::chrono::milliseconds interval,
                                                         std::function<Time()> now) {
  std::unique_ptr<TlsFiles> files(new TlsFiles(dir, side, interval, std::move(now)));
  MutexLock lock(&files->mutex_);
  files->stamp_ = StampOf(dir);
  ASSIGN_OR_RETURN(files->current_, LoadTlsDirectory(dir, side, files->now_()));
  files->looked_ = std::chrono::steady_clock::now();
  files->WarnOfExpiry();
  return files;
}

std::shared_ptr<const TlsMaterial> TlsFiles::Current() {
  MutexLock lock(&mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ >= interval_) {
    looked_ = now;
    Reload();
    if (now - warned_ >= kWarnEvery) WarnOfExpiry();
  }
  return current_;
}

void TlsFiles::Reload() {
  // Before the files are read: what changes meanwhile is looked at the next time.
  const std::string stamp = StampOf(dir_);
  if (stamp == stamp_) return;
  absl::StatusOr<std::shared_ptr<const TlsMaterial>> loaded = LoadTlsDirectory(dir_, side_, now_());
  // Files that are wrong may be on their way, the key before its certificate: they get another
  // look.
  if (!loaded.ok() && std::exchange(suspect_, stamp) != stamp) return;
  stamp_ = stamp;
  if (!loaded.ok()) {
    LogWarning("the new certificate files are not used, the former ones hold: ",
               loaded.status().message());
    return;
  }
  current_ = *std::move(loaded);
  LogInfo("certificate files of ", dir_, " read anew: ", current_->identity.ToString(),
          ", valid until ", FormatTime(current_->certificate.not_after()));
  WarnOfExpiry();
}

void TlsFiles::WarnOfExpiry() {
  warned_ = std::chrono::steady_clock::now();
  const Time end = current_->certificate.not_after();
  if (now_() + kWarnBefore < end) return;
  LogWarning(dir_, "/tls.crt expires on ", FormatTime(end),
             "; issue another with `sallyport pki issue` and put it there: no restart is needed");
}

}  // namespace sallyport::pki
