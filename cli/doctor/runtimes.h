// Whether the programs and languages at hand trust the interception: by a request of each.

#ifndef SALLYPORT_CLI_DOCTOR_RUNTIMES_H_
#define SALLYPORT_CLI_DOCTOR_RUNTIMES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/doctor/finding.h"

namespace sallyport::cli {

struct CheckUrl {
  std::string url;
  std::string host;
  std::string port;
};

// One that every container whose HTTPS is decrypted has, without a host outside.
std::string OwnCheckUrl();

// INVALID_ARGUMENT unless it is https://HOST[:PORT][/PATH].
absl::StatusOr<CheckUrl> ParseCheckUrl(std::string_view url);

// One for each that PATH leads to, in the container that this program runs in; a problem if it has
// none.
std::vector<Finding> CheckRuntimes(const CheckUrl& url);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DOCTOR_RUNTIMES_H_
