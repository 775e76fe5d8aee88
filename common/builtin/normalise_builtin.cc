#include "common/builtin/normalise_builtin.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "common/base/strings.h"
#include "common/builtin/header_rules.h"
#include "common/builtin/location.h"
#include "common/builtin/path_pattern.h"
#include "common/builtin/safe_path.h"
#include "common/builtin/secret_reference.h"
#include "common/net/host.h"

namespace sallyport {
namespace {

using google::protobuf::RepeatedPtrField;

constexpr int kMaxMethods = 64;
constexpr int kMaxPaths = 256;
constexpr int kMaxHeaders = 128;
constexpr size_t kMaxHeaderBytes = 32 * 1024;
constexpr size_t kMaxBody = 64 * 1024;
constexpr size_t kMaxPrefixBytes = 1024;
constexpr size_t kMaxReferenceBytes = 1024;

std::string At(std::string_view path, int index) { return StrCat(path, "[", index, "]"); }

void NormaliseMethods(const std::string& path, RepeatedPtrField<std::string>* methods,
                      Problems* problems) {
  if (methods->size() > kMaxMethods) return problems->Add(path, "has more than 64 methods");
  std::set<std::string> seen;
  int kept = 0;
  for (int i = 0; i < methods->size(); ++i) {
    const std::string& method = methods->Get(i);
    const std::string upper = absl::AsciiStrToUpper(method);
    if (!IsHeaderName(method) || method.size() > 32) {
      problems->Add(At(path, i), StrCat(Quote(method), " is not a method; write GET, POST, …"));
    } else if (method != upper) {
      problems->Add(At(path, i), StrCat(Quote(method), " is matched as it is; write ", upper));
    } else if (method == "CONNECT") {
      problems->Add(At(path, i), "CONNECT reaches no handler; leave it out");
    }
    if (!seen.insert(method).second) continue;
    methods->SwapElements(kept++, i);
  }
  methods->DeleteSubrange(kept, methods->size() - kept);
}

void NormalisePaths(const std::string& path, RepeatedPtrField<std::string>* patterns,
                    Problems* problems) {
  if (patterns->size() > kMaxPaths) return problems->Add(path, "has more than 256 patterns");
  std::set<std::string> seen;
  int kept = 0;
  for (int i = 0; i < patterns->size(); ++i) {
    const absl::Status valid = PathPattern::Parse(patterns->Get(i)).status();
    if (!valid.ok()) {
      problems->Add(At(path, i), StrCat(Quote(patterns->Get(i)), " ", ToStd(valid.message())));
    }
    if (!seen.insert(patterns->Get(i)).second) continue;
    patterns->SwapElements(kept++, i);
  }
  patterns->DeleteSubrange(kept, patterns->size() - kept);
}

// False, and a problem: a handler may not touch the header. Makes it lower case.
bool NormaliseHeaderName(const std::string& path, std::string* name, Problems* problems) {
  if (!IsHeaderName(*name)) {
    problems->Add(path, StrCat(Quote(*name), " is not a header's name; write one, as x-token"));
    return false;
  }
  *name = absl::AsciiStrToLower(*name);
  if (IsOfConnection(*name)) {
    problems->Add(path, StrCat(*name, " belongs to the connection; leave it out"));
  } else if (*name == "host") {
    problems->Add(path, "host is where the request goes; write `authority`");
  } else if (*name == "content-length") {
    problems->Add(path, "the proxy frames bodies by itself; leave content-length out");
  } else if (name->starts_with("sallyport-")) {
    problems->Add(path, "headers that begin with sallyport- are the proxy's own; leave it out");
  } else {
    return true;
  }
  return false;
}

void CheckReference(const std::string& path, const v1::SecretReference& reference,
                    Problems* problems) {
  const auto check = [&](const char* field, const std::string& text, bool legal, const char* what) {
    if (!legal || text.empty() || text.size() > kMaxReferenceBytes) {
      problems->Add(Member(path, field), StrCat(Quote(text), " ", what));
    }
  };
  const auto all_of = [](const std::string& text, std::string_view punctuation) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
      return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
             punctuation.find(c) != punctuation.npos;
    });
  };
  switch (reference.source_case()) {
    case v1::SecretReference::kFile:
      return check("file", reference.file(),
                   std::none_of(reference.file().begin(), reference.file().end(),
                                [](char c) { return static_cast<unsigned char>(c) < 0x20; }),
                   "is not a file's name; write one below the agent's --secrets-dir");
    case v1::SecretReference::kEnv:
      return check("env", reference.env(), all_of(reference.env(), "_"),
                   "is not a variable's name; write one of the agent's environment");
    case v1::SecretReference::kSecret:
      return check("secret", reference.secret(),
                   all_of(reference.secret(), "-_.") && reference.secret().size() <= 63,
                   "is not a secret's name; write one that `sallyport secret list` shows");
    case v1::SecretReference::SOURCE_NOT_SET:
      problems->Add(path, "names no secret; write file, env or secret");
  }
}

void CheckSource(const std::string& path, const v1::SetHeader& header, Problems* problems) {
  if (header.has_secret()) {
    CheckReference(Member(path, "secret"), header.secret(), problems);
    if (header.has_basic_user() && (!header.prefix().empty() || header.base64())) {
      problems->Add(Member(path, "basic_user"),
                    "says how the secret is sent; leave out prefix and base64");
    }
    if (header.basic_user().find(':') != std::string::npos ||
        !IsHeaderValue(StrCat("x", header.basic_user(), "x"))) {
      problems->Add(Member(path, "basic_user"),
                    "has a colon or a control byte; write a user's name");
    }
    if (!IsHeaderValue(StrCat(header.prefix(), "x"))) {
      problems->Add(Member(path, "prefix"), "is no beginning of a header's value, as \"Bearer \"");
    }
    return;
  }
  if (header.source_case() == v1::SetHeader::SOURCE_NOT_SET) {
    problems->Add(path, "has no value; write value, or a secret: file, env or secret");
  } else if (!IsHeaderValue(header.value())) {
    problems->Add(Member(path, "value"),
                  "has white space around it, or a line break or other control byte");
  }
  if (!header.prefix().empty() || header.has_basic_user() || header.base64()) {
    problems->Add(path,
                  "prefix, basic_user and base64 are for secrets; write the value as it is sent");
  }
}

void NormaliseSetHeaders(const std::string& path, RepeatedPtrField<v1::SetHeader>* headers,
                         Problems* problems) {
  if (headers->size() > kMaxHeaders) return problems->Add(path, "has more than 128 headers");
  std::set<std::string> seen;
  size_t bytes = 0;
  for (int i = 0; i < headers->size(); ++i) {
    v1::SetHeader& header = *headers->Mutable(i);
    const bool named =
        NormaliseHeaderName(Member(At(path, i), "name"), header.mutable_name(), problems);
    if (named && !seen.insert(header.name()).second) {
      problems->Add(Member(At(path, i), "name"),
                    StrCat(header.name(), " is there already; write it once"));
    }
    CheckSource(At(path, i), header, problems);
    bytes += header.name().size() + header.value().size() + header.prefix().size();
  }
  if (bytes > kMaxHeaderBytes) problems->Add(path, "is larger than 32 KiB; shorten it");
}

void NormaliseRemoveHeaders(const std::string& path, RepeatedPtrField<std::string>* names,
                            Problems* problems) {
  if (names->size() > kMaxHeaders) return problems->Add(path, "has more than 128 headers");
  std::set<std::string> seen;
  int kept = 0;
  for (int i = 0; i < names->size(); ++i) {
    NormaliseHeaderName(At(path, i), names->Mutable(i), problems);
    if (!seen.insert(names->Get(i)).second) continue;
    names->SwapElements(kept++, i);
  }
  names->DeleteSubrange(kept, names->size() - kept);
}

void CheckPathPrefix(const std::string& path, const std::string& prefix, Problems* problems) {
  if (prefix.empty()) return;
  std::string decoded;
  const std::string_view wrong = DecodePath(prefix, &decoded);
  const bool visible =
      std::all_of(prefix.begin(), prefix.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!wrong.empty()) {
    problems->Add(path, StrCat(Quote(prefix), " has ", wrong, "; write a path, as /v1"));
  } else if (!visible || prefix.find('?') != std::string::npos || prefix.size() > kMaxPrefixBytes) {
    problems->Add(
        path,
        StrCat(Quote(prefix), " is not a path of visible ASCII, without query; write one, as /v1"));
  } else if (prefix.ends_with('/')) {
    problems->Add(path, StrCat(Quote(prefix), " ends with `/`; write whole segments, as /v1"));
  }
}

void CheckRespond(const std::string& path, v1::FixedResponse* response, Problems* problems) {
  const uint32_t status = response->status();
  if (status != 0 && (status < 200 || status > 599)) {
    problems->Add(Member(path, "status"), "must be 200 to 599, or 0 for 200");
  }
  if ((status == 204 || status == 304) && !response->body().empty()) {
    problems->Add(Member(path, "body"), StrCat("an answer ", status, " has none; leave it out"));
  }
  if (response->body().size() > kMaxBody) {
    problems->Add(Member(path, "body"), "is larger than 64 KiB; shorten it");
  }
  const std::string headers = Member(path, "headers");
  if (response->headers_size() > kMaxHeaders) problems->Add(headers, "has more than 128 headers");
  std::set<std::string> seen;
  size_t bytes = 0;
  for (int i = 0; i < response->headers_size(); ++i) {
    v1::ResponseHeader& header = *response->mutable_headers(i);
    const std::string of_name = Member(At(headers, i), "name");
    NormaliseHeaderName(of_name, header.mutable_name(), problems);
    if (!seen.insert(header.name()).second) {
      problems->Add(of_name, StrCat(header.name(), " is there already; write it once"));
    }
    if (!IsHeaderValue(header.value())) {
      problems->Add(Member(At(headers, i), "value"),
                    "has white space around it, or a line break or other control byte");
    }
    bytes += header.name().size() + header.value().size();
  }
  if (bytes > kMaxHeaderBytes) problems->Add(headers, "is larger than 32 KiB; shorten it");
}

void CheckRedirect(const std::string& path, const v1::Redirect& redirect, Problems* problems) {
  constexpr std::array<uint32_t, 6> kStatuses = {0, 301, 302, 303, 307, 308};
  if (std::find(kStatuses.begin(), kStatuses.end(), redirect.status()) == kStatuses.end()) {
    problems->Add(Member(path, "status"), "must be 301, 302, 303, 307 or 308, or 0 for 302");
  }
  if (const absl::Status valid = CheckLocation(redirect.location()); !valid.ok()) {
    problems->Add(Member(path, "location"),
                  StrCat(Quote(redirect.location()), " ", ToStd(valid.message())));
  }
}

void CheckRate(const std::string& path, const v1::RateLimit& rate, Problems* problems) {
  // Also false for what is no number.
  if (!(rate.requests_per_second() >= 0.001 && rate.requests_per_second() <= 1'000'000)) {
    problems->Add(Member(path, "requests_per_second"), "must be 0.001 to 1000000");
  }
  if (rate.burst() > 1'000'000) problems->Add(Member(path, "burst"), "must be 1 to 1000000");
}

// What stands beside a response that is made here would have no effect.
void CheckExclusions(std::string_view path, const v1::Builtin& builtin, Problems* problems) {
  const bool changes = builtin.set_headers_size() > 0 || builtin.remove_headers_size() > 0 ||
                       !builtin.authority().empty() || !builtin.scheme().empty() ||
                       !builtin.strip_path_prefix().empty() || !builtin.add_path_prefix().empty();
  if (builtin.has_respond() && builtin.has_redirect()) {
    problems->Add(Member(path, "redirect"), "respond answers already; write one of them");
  } else if (changes && (builtin.has_respond() || builtin.has_redirect())) {
    problems->Add(Member(path, builtin.has_respond() ? "respond" : "redirect"),
                  "no request is sent on; leave out what changes it");
  }
  if (builtin.ByteSizeLong() == 0) {
    problems->Add(path, "does nothing; write what it is to do, as allow_methods: [GET, HEAD]");
  }
}

}  // namespace

void NormaliseBuiltin(std::string_view path, v1::Builtin* builtin, Problems* problems) {
  CheckExclusions(path, *builtin, problems);
  NormaliseMethods(Member(path, "allow_methods"), builtin->mutable_allow_methods(), problems);
  NormalisePaths(Member(path, "allow_paths"), builtin->mutable_allow_paths(), problems);
  NormaliseSetHeaders(Member(path, "set_headers"), builtin->mutable_set_headers(), problems);
  NormaliseRemoveHeaders(Member(path, "remove_headers"), builtin->mutable_remove_headers(),
                         problems);
  if (!builtin->authority().empty()) {
    const absl::StatusOr<Authority> authority = Authority::Parse(builtin->authority());
    if (authority.ok()) {
      builtin->set_authority(authority->ToString(0));
    } else {
      problems->Add(Member(path, "authority"),
                    StrCat(Quote(builtin->authority()), " has an ",
                           ToStd(authority.status().message()), "; write HOST or HOST:PORT"));
    }
  }
  if (!builtin->scheme().empty() && builtin->scheme() != "https") {
    problems->Add(
        Member(path, "scheme"),
        StrCat(Quote(builtin->scheme()), " is not to be had; write https, or leave it out"));
  }
  CheckPathPrefix(Member(path, "strip_path_prefix"), builtin->strip_path_prefix(), problems);
  CheckPathPrefix(Member(path, "add_path_prefix"), builtin->add_path_prefix(), problems);
  if (builtin->has_respond()) {
    CheckRespond(Member(path, "respond"), builtin->mutable_respond(), problems);
  }
  if (builtin->has_redirect()) {
    CheckRedirect(Member(path, "redirect"), builtin->redirect(), problems);
  }
  if (builtin->has_rate_limit()) {
    CheckRate(Member(path, "rate_limit"), builtin->rate_limit(), problems);
  }
}

}  // namespace sallyport
