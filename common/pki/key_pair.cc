#include "common/pki/key_pair.h"

#include <sys/stat.h>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/openssl.h"
#include "common/pki/whole_file.h"

namespace sallyport::pki {
namespace {

absl::StatusOr<std::string> Read(const std::string& path) {
  absl::StatusOr<std::string> content = ReadWholeFile(path);
  if (content.ok()) return content;
  return absl::FailedPreconditionError(
      absl::IsNotFound(content.status())
          ? StrCat(path, " is not there")
          : StrCat("cannot read ", path, ": ", content.status().message()));
}

absl::Status CheckSecret(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 07) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      StrCat(path, " is open to every user of this machine; chmod 600 it"));
}

}  // namespace

absl::StatusOr<KeyPair> ReadKeyPair(const std::string& certificate_file,
                                    const std::string& key_file) {
  KeyPair pair;
  ASSIGN_OR_RETURN(pair.certificate_chain, Read(certificate_file));
  ASSIGN_OR_RETURN(pair.private_key, Read(key_file));
  RETURN_IF_ERROR(CheckSecret(key_file));
  const absl::StatusOr<std::vector<X509Ptr>> chain = CertificatesOf(pair.certificate_chain);
  if (!chain.ok()) {
    return absl::FailedPreconditionError(
        StrCat(certificate_file, " ", chain.status().message(), "; put the chain there"));
  }
  const KeyPtr key = KeyOf(pair.private_key);
  if (key == nullptr) {
    return absl::FailedPreconditionError(StrCat(key_file, " holds no key (PEM)"));
  }
  const bool together = X509_check_private_key((*chain)[0].get(), key.get()) == 1;
  ERR_clear_error();
  if (together) return pair;
  return absl::FailedPreconditionError(
      StrCat(key_file, " is not the key of ", certificate_file, "; issue both anew"));
}

}  // namespace sallyport::pki
