// The flags of `handler register` for handlers on other hosts.

#ifndef SALLYPORT_CLI_HANDLER_SECURITY_FLAGS_H_
#define SALLYPORT_CLI_HANDLER_SECURITY_FLAGS_H_

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/flags/flags.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

struct HandlerSecurityFlags {
  std::string ca_file;
  bool client_certificate = false;
  std::string tls_server_name;
  std::optional<std::string> identity_token;  // Empty: by the default audience.
  std::chrono::milliseconds identity_ttl{0};  // 0: the default.

  void AddTo(FlagSet* flags);
  // INVALID_ARGUMENT with a sentence: a file cannot be read, or flags do not go together.
  absl::Status Fill(v1::Handler* handler) const;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_HANDLER_SECURITY_FLAGS_H_
