// A built-in handler, parsed.

#ifndef SALLYPORT_COMMON_BUILTIN_BUILTIN_SPEC_H_
#define SALLYPORT_COMMON_BUILTIN_BUILTIN_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/builtin/path_pattern.h"
#include "common/net/host.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Immutable. Fields are as in builtin.proto.
struct BuiltinSpec {
  struct SetHeader {
    std::string name;    // Lower case.
    std::string value;   // Of a literal.
    std::string secret;  // NameOf its reference; empty: a literal.
    std::string prefix;
    std::optional<std::string> basic_user;
    bool base64 = false;

    // What is sent of this secret. REQUIRES: it is no literal.
    std::string Wrap(std::string_view secret_value) const;
  };
  struct Response {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
  };
  struct Redirect {
    std::string location;
    int status = 302;
  };
  struct Rate {
    double per_second = 0;
    int64_t burst = 1;
    friend bool operator==(const Rate&, const Rate&) = default;
  };

  std::vector<std::string> allow_methods;
  std::vector<PathPattern> allow_paths;
  std::vector<SetHeader> set_headers;
  std::vector<std::string> remove_headers;
  std::optional<Authority> authority;
  bool raise_to_https = false;
  std::string strip_path_prefix;
  std::string add_path_prefix;
  std::optional<Response> respond;
  std::optional<Redirect> redirect;
  std::optional<Rate> rate_limit;

  bool uses_secrets() const;

  // INVALID_ARGUMENT, as NormaliseBuiltin.
  static absl::StatusOr<BuiltinSpec> FromProto(const v1::Builtin& builtin);
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_BUILTIN_SPEC_H_
