#include "agent/attach/trust.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"

namespace sallyport::agent {

absl::StatusOr<std::string> FindSystemBundle(const std::string& root) {
  for (const std::string_view place : kSystemBundlePlaces) {
    std::string path = StrCat(root, place);
    struct stat file;
    if (stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode)) return path;
  }
  return absl::NotFoundError("no file with the system's root certificates was found");
}

absl::StatusOr<std::string> MakeTrustBundle(std::string_view ca_certificate_pem,
                                            const std::string& system_bundle) {
  std::string bundle;
  if (!system_bundle.empty()) {
    std::ifstream file(system_bundle, std::ios::binary);
    bundle.assign(std::istreambuf_iterator<char>(file), {});
    if (!file.good() && !file.eof()) {
      return absl::NotFoundError(
          StrCat("the root certificates ", Quote(system_bundle), " cannot be read"));
    }
    if (bundle.size() > kMaxBundleBytes) {
      return absl::FailedPreconditionError(
          StrCat(Quote(system_bundle), " is too large for a file of root certificates"));
    }
  }
  return MakeTrustBundleOf(std::move(bundle), ca_certificate_pem);
}

std::string MakeTrustBundleOf(std::string roots, std::string_view ca_certificate_pem) {
  // The last certificate of the file may lack its end of line.
  if (!roots.empty() && roots.back() != '\n') roots += '\n';
  roots += ca_certificate_pem;
  if (roots.back() != '\n') roots += '\n';
  return roots;
}

}  // namespace sallyport::agent
