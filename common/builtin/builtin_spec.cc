#include "common/builtin/builtin_spec.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/normalise_builtin.h"
#include "common/builtin/secret_reference.h"

namespace sallyport {
namespace {

BuiltinSpec::SetHeader HeaderOf(const v1::SetHeader& proto) {
  BuiltinSpec::SetHeader header;
  header.name = proto.name();
  header.value = proto.value();
  if (proto.has_secret()) header.secret = NameOf(proto.secret());
  header.prefix = proto.prefix();
  if (proto.has_basic_user()) header.basic_user = proto.basic_user();
  header.base64 = proto.base64();
  return header;
}

BuiltinSpec::Response ResponseOf(const v1::FixedResponse& proto) {
  BuiltinSpec::Response response;
  if (proto.status() != 0) response.status = static_cast<int>(proto.status());
  for (const v1::ResponseHeader& header : proto.headers()) {
    response.headers.emplace_back(header.name(), header.value());
  }
  response.body = proto.body();
  const bool typed = std::any_of(response.headers.begin(), response.headers.end(),
                                 [](const auto& one) { return one.first == "content-type"; });
  if (!response.body.empty() && !typed) response.headers.emplace_back("content-type", "text/plain");
  return response;
}

BuiltinSpec::Rate RateOf(const v1::RateLimit& proto) {
  const int64_t burst = proto.burst() != 0
                            ? static_cast<int64_t>(proto.burst())
                            : static_cast<int64_t>(std::ceil(proto.requests_per_second()));
  return {proto.requests_per_second(), burst};
}

}  // namespace

std::string BuiltinSpec::SetHeader::Wrap(std::string_view secret_value) const {
  if (!basic_user.has_value() && !base64) return StrCat(prefix, secret_value);
  std::string plain =
      basic_user.has_value() ? StrCat(*basic_user, ":", secret_value) : std::string(secret_value);
  std::string encoded;
  absl::Base64Escape(plain, &encoded);
  Wipe(&plain);
  std::string wrapped = StrCat(basic_user.has_value() ? "Basic " : prefix, encoded);
  Wipe(&encoded);
  return wrapped;
}

bool BuiltinSpec::uses_secrets() const {
  return std::any_of(set_headers.begin(), set_headers.end(),
                     [](const SetHeader& header) { return !header.secret.empty(); });
}

absl::StatusOr<BuiltinSpec> BuiltinSpec::FromProto(const v1::Builtin& builtin) {
  v1::Builtin normal = builtin;
  Problems problems;
  NormaliseBuiltin("builtin", &normal, &problems);
  RETURN_IF_ERROR(problems.ToStatus());
  BuiltinSpec spec;
  spec.allow_methods.assign(normal.allow_methods().begin(), normal.allow_methods().end());
  for (const std::string& path : normal.allow_paths()) {
    ASSIGN_OR_RETURN(PathPattern pattern, PathPattern::Parse(path));
    spec.allow_paths.push_back(std::move(pattern));
  }
  for (const v1::SetHeader& header : normal.set_headers()) {
    spec.set_headers.push_back(HeaderOf(header));
  }
  spec.remove_headers.assign(normal.remove_headers().begin(), normal.remove_headers().end());
  if (!normal.authority().empty()) {
    ASSIGN_OR_RETURN(spec.authority, Authority::Parse(normal.authority()));
  }
  spec.raise_to_https = normal.scheme() == "https";
  spec.strip_path_prefix = normal.strip_path_prefix();
  spec.add_path_prefix = normal.add_path_prefix();
  if (normal.has_respond()) spec.respond = ResponseOf(normal.respond());
  if (normal.has_redirect()) {
    const uint32_t status = normal.redirect().status();
    spec.redirect = {normal.redirect().location(), status == 0 ? 302 : static_cast<int>(status)};
  }
  if (normal.has_rate_limit()) spec.rate_limit = RateOf(normal.rate_limit());
  return spec;
}

}  // namespace sallyport
