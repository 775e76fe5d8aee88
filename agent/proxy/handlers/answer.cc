#include "agent/proxy/handlers/answer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kMaxHeaderBytes = 60 * 1024;
constexpr int kMaxHeaders = 256;
constexpr size_t kMaxMethodBytes = 32;
constexpr size_t kMaxPathBytes = 8 * 1024;
constexpr size_t kMaxQuotedName = 64;

using HeaderList = google::protobuf::RepeatedPtrField<v1::Header>;

// What belongs to a connection and not to a message (RFC 9110 section 7.6.1).
bool IsHopByHop(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {
      "connection", "keep-alive",        "proxy-connection", "te",
      "trailer",    "transfer-encoding", "upgrade",          "http2-settings"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

absl::Status HeaderError(std::string_view name, std::string_view what) {
  const std::string_view quoted = name.substr(0, kMaxQuotedName);
  return absl::InvalidArgumentError(absl::StrCat(
      "the handler's header `", absl::CHexEscape(absl::string_view(quoted.data(), quoted.size())),
      "` ", absl::string_view(what.data(), what.size())));
}

// Spaces and tabs only: a line break at the end is as illegal as one within.
std::string_view WithoutSurroundingSpace(std::string_view value) {
  const size_t begin = value.find_first_not_of(" \t");
  if (begin == value.npos) return "";
  return value.substr(begin, value.find_last_not_of(" \t") - begin + 1);
}

absl::StatusOr<std::string> CheckName(const std::string& name) {
  if (!IsToken(name)) return HeaderError(name, "is not a token");
  return absl::AsciiStrToLower(name);
}

absl::StatusOr<Headers> CheckHeaders(const HeaderList& list) {
  if (list.size() > kMaxHeaders) {
    return absl::InvalidArgumentError(
        absl::StrCat("the handler sent more than ", kMaxHeaders, " headers"));
  }
  Headers headers;
  size_t bytes = 0;
  for (const v1::Header& header : list) {
    ASSIGN_OR_RETURN(const std::string name, CheckName(header.name()));
    if (IsHopByHop(name)) return HeaderError(name, "belongs to the connection, and may not be set");
    const std::string_view text = WithoutSurroundingSpace(header.value());
    if (!IsLegalHeader(name, text)) return HeaderError(name, "has a value with CR, LF or NUL");
    bytes += name.size() + text.size();
    if (bytes > kMaxHeaderBytes)
      return absl::InvalidArgumentError("the handler's headers are longer than 60 KiB");
    headers.Add(name, text);
  }
  return headers;
}

absl::Status CheckContentLength(const Headers& headers) {
  const std::string* length = headers.Find("content-length");
  if (length == nullptr) return absl::OkStatus();
  if (headers.Count("content-length") > 1) return HeaderError("content-length", "stands twice");
  // 18 digits fit 64 bits, and are more than any body has.
  const bool number =
      !length->empty() && length->size() <= 18 &&
      std::all_of(length->begin(), length->end(), [](char c) { return absl::ascii_isdigit(c); });
  return number ? absl::OkStatus() : HeaderError("content-length", "is not a number");
}

absl::Status CheckMethod(const std::string& method) {
  if (method.empty()) return absl::OkStatus();
  if (!IsToken(method) || method.size() > kMaxMethodBytes) {
    return absl::InvalidArgumentError("the handler's method is not a token of at most 32 bytes");
  }
  if (method == "CONNECT") return absl::InvalidArgumentError("the handler's method is CONNECT");
  return absl::OkStatus();
}

absl::Status CheckScheme(const std::string& scheme, std::string_view received) {
  if (scheme.empty() || scheme == received) return absl::OkStatus();
  if (scheme == "https") return absl::OkStatus();
  if (scheme == "http") return absl::InvalidArgumentError("the handler lowers https to http");
  return absl::InvalidArgumentError("the handler's scheme is neither http nor https");
}

absl::Status CheckPath(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  if (path[0] != '/') return absl::InvalidArgumentError("the handler's path does not begin with /");
  if (path.size() > kMaxPathBytes)
    return absl::InvalidArgumentError("the handler's path is longer than 8 KiB");
  const bool visible = std::all_of(path.begin(), path.end(),
                                   [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
  if (!visible) {
    return absl::InvalidArgumentError(
        "the handler's path has white space, `#`, or other than visible ASCII; percent-encode it");
  }
  return absl::OkStatus();
}

absl::Status CheckStatus(uint32_t status) {
  if (status >= 200 && status <= 599) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the handler's status is ", status, "; it must be 200 to 599"));
}

absl::StatusOr<std::vector<std::string>> CheckRemoved(
    const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.size() > kMaxHeaders) {
    return absl::InvalidArgumentError(
        absl::StrCat("the handler removes more than ", kMaxHeaders, " headers"));
  }
  std::vector<std::string> removed;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(std::string lower, CheckName(name));
    removed.push_back(std::move(lower));
  }
  return removed;
}

// What a forward says of bodies and leases must fit together.
absl::Status CheckCombination(const v1::Forward& message) {
  if (message.has_content_length() && !message.transform_request())
    return absl::InvalidArgumentError("the handler sets content_length without transform_request");
  if (message.has_lease() && (message.inspect_response() || message.transform_request())) {
    return absl::InvalidArgumentError(
        "the handler leases a forward that it inspects or transforms; a lease decides without it");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Respond> ValidateRespond(const v1::Respond& message) {
  RETURN_IF_ERROR(CheckStatus(message.status()));
  Respond respond;
  respond.status = static_cast<int>(message.status());
  ASSIGN_OR_RETURN(respond.headers, CheckHeaders(message.headers()));
  RETURN_IF_ERROR(CheckContentLength(respond.headers));
  if (message.has_lease()) {
    ASSIGN_OR_RETURN(respond.lease, ValidateLease(message.lease()));
  }
  respond.revoke_leases = message.revoke_leases();
  return respond;
}

absl::StatusOr<Respond> ValidateReplacement(const v1::Respond& message) {
  if (message.has_lease()) {
    return absl::InvalidArgumentError(
        "the handler leases a response that it gives in the place of an origin's");
  }
  return ValidateRespond(message);
}

absl::StatusOr<Pass> ValidatePass(const v1::PassResponse& message) {
  if (message.status() != 0) RETURN_IF_ERROR(CheckStatus(message.status()));
  Pass pass;
  pass.status = static_cast<int>(message.status());
  ASSIGN_OR_RETURN(pass.set_headers, CheckHeaders(message.set_headers()));
  RETURN_IF_ERROR(CheckContentLength(pass.set_headers));
  if (!message.transform_body() && pass.set_headers.Count("content-length") > 0) {
    return HeaderError("content-length", "may be set only with `transform_body`");
  }
  ASSIGN_OR_RETURN(pass.remove_headers, CheckRemoved(message.remove_headers()));
  pass.transform_body = message.transform_body();
  return pass;
}

absl::StatusOr<Forward> ValidateForward(const v1::Forward& message, std::string_view scheme) {
  RETURN_IF_ERROR(CheckMethod(message.method()));
  RETURN_IF_ERROR(CheckScheme(message.scheme(), scheme));
  RETURN_IF_ERROR(CheckPath(message.path()));
  RETURN_IF_ERROR(CheckCombination(message));
  Forward forward;
  forward.method = message.method();
  forward.scheme = message.scheme();
  forward.path = message.path();
  if (!message.authority().empty()) {
    absl::StatusOr<Authority> authority = Authority::Parse(message.authority());
    if (!authority.ok())
      return absl::InvalidArgumentError("the handler's authority is not HOST or HOST:PORT");
    forward.authority = *std::move(authority);
  }
  ASSIGN_OR_RETURN(forward.set_headers, CheckHeaders(message.set_headers()));
  if (forward.set_headers.Count("host") > 0)
    return HeaderError("host", "may not be set; set `authority`");
  if (forward.set_headers.Count("content-length") > 0) {
    return HeaderError("content-length", "may not be set; the proxy frames the body");
  }
  ASSIGN_OR_RETURN(forward.remove_headers, CheckRemoved(message.remove_headers()));
  forward.inspect_response = message.inspect_response();
  forward.transform_request = message.transform_request();
  if (message.has_content_length()) forward.content_length = message.content_length();
  forward.send_request_id = message.send_request_id();
  if (message.has_lease()) {
    ASSIGN_OR_RETURN(forward.lease, ValidateLease(message.lease()));
  }
  forward.revoke_leases = message.revoke_leases();
  return forward;
}

absl::StatusOr<Headers> ValidateTrailers(const v1::End& message) {
  ASSIGN_OR_RETURN(Headers trailers, CheckHeaders(message.trailers()));
  if (trailers.Count("content-length") > 0)
    return HeaderError("content-length", "may not be a trailer");
  return trailers;
}

}  // namespace sallyport::proxy
