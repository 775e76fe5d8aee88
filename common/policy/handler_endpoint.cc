#include "common/policy/handler_endpoint.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/net/host.h"

namespace sallyport {
namespace {

using Protocol = HandlerEndpoint::Protocol;

struct Form {
  std::string_view prefix;
  Protocol protocol;
  bool tls;
  bool unix;
  uint16_t default_port;  // 0: the port must be given.
  std::string_view example;
};
constexpr std::array<Form, 6> kForms = {{
    {"grpc://", Protocol::kGrpc, false, false, 0, "grpc://HOST:PORT"},
    {"grpcs://", Protocol::kGrpc, true, false, 443, "grpcs://HOST:PORT"},
    {"unix:", Protocol::kGrpc, false, true, 0, "unix:/PATH"},
    {"http://", Protocol::kHttp, false, false, 80, "http://HOST:PORT"},
    {"https://", Protocol::kHttp, true, false, 443, "https://HOST:PORT"},
    {"http+unix:", Protocol::kHttp, false, true, 0, "http+unix:/PATH"},
}};
// sockaddr_un.sun_path, with its NUL.
constexpr size_t kMaxSocketPath = 107;

std::string AllExamples() {
  std::string examples;
  for (const Form& form : kForms) {
    examples += StrCat(examples.empty()                      ? ""
                       : form.prefix == kForms.back().prefix ? " or "
                                                             : ", ",
                       form.example);
  }
  return examples;
}

absl::Status Wrong(std::string_view text, std::string_view what, const Form& form) {
  return absl::InvalidArgumentError(StrCat(Quote(text), " ", what, "; write ", form.example));
}

absl::StatusOr<std::string> ParsePath(std::string_view text, std::string_view path,
                                      const Form& form) {
  // unix:///PATH is how gRPC writes it, too.
  if (path.starts_with("///")) path.remove_prefix(2);
  if (!path.starts_with('/')) return Wrong(text, "has no absolute path", form);
  if (path.size() > kMaxSocketPath) {
    return Wrong(text, StrCat("has a path of more than ", kMaxSocketPath, " bytes"), form);
  }
  if (!std::ranges::all_of(path, [](char c) { return c > ' ' && c < '\x7f'; }))
    return Wrong(text, "has white space or other than visible ASCII in its path", form);
  for (const absl::string_view segment : absl::StrSplit(ToAbsl(path.substr(1)), '/')) {
    if (segment.empty() || segment == "." || segment == "..")
      return Wrong(text, "has an empty, `.` or `..` segment in its path", form);
  }
  return std::string(path);
}

}  // namespace

absl::StatusOr<HandlerEndpoint> HandlerEndpoint::Parse(std::string_view text) {
  const auto form = std::ranges::find_if(kForms, [text](const Form& one) {
    return absl::StartsWithIgnoreCase(ToAbsl(text), ToAbsl(one.prefix));
  });
  if (form == kForms.end()) {
    return absl::InvalidArgumentError(
        StrCat(Quote(text), " is not of a known form; write ", AllExamples()));
  }
  const std::string_view rest = text.substr(form->prefix.size());
  HandlerEndpoint endpoint;
  endpoint.protocol = form->protocol;
  endpoint.tls = form->tls;
  if (form->unix) {
    ASSIGN_OR_RETURN(endpoint.path, ParsePath(text, rest, *form));
    endpoint.text = StrCat(form->prefix, endpoint.path);
    return endpoint;
  }
  if (form->protocol == Protocol::kHttp && rest.find('/') != rest.npos) {
    return Wrong(text, "has a path; the handler gets each request with the path that it has",
                 *form);
  }
  ASSIGN_OR_RETURN(Authority authority, Authority::Parse(rest));
  if (!authority.port.has_value() && form->default_port != 0) authority.port = form->default_port;
  if (!authority.port.has_value()) return Wrong(text, "has no port", *form);
  endpoint.host = authority.host.text();
  endpoint.port = *authority.port;
  endpoint.text = StrCat(form->prefix, authority.ToString(0));
  return endpoint;
}

std::string_view ProtocolName(HandlerEndpoint::Protocol protocol) {
  return protocol == Protocol::kGrpc ? "gRPC" : "HTTP";
}

}  // namespace sallyport
