#include "common/builtin/evaluate.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "common/builtin/location.h"
#include "common/builtin/safe_path.h"

namespace sallyport {
namespace {

// What an origin may be sent (agent/proxy/handlers/answer.h).
constexpr size_t kMaxTargetBytes = 8 * 1024;

std::optional<BuiltinRefusal> RefusedMethod(const BuiltinSpec& spec, std::string_view method) {
  const auto& allowed = spec.allow_methods;
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), method) == allowed.end()) {
    return BuiltinRefusal{405, "method_not_allowed",
                          StrCat("only ", absl::StrJoin(allowed, ", "), " is allowed")};
  }
  // Its answer is the request as the origin got it (RFC 9110 section 9.3.8).
  if (method == "TRACE" && spec.uses_secrets()) {
    return BuiltinRefusal{405, "method_not_allowed", "TRACE would give the secret back"};
  }
  return std::nullopt;
}

BuiltinRefusal RefusedPath(std::string_view why) {
  return {403, "path_not_allowed", std::string(why)};
}

// Whether the path or a part of it counts.
bool LooksAtPath(const BuiltinSpec& spec) {
  return !spec.allow_paths.empty() || !spec.strip_path_prefix.empty() ||
         !spec.add_path_prefix.empty();
}

std::optional<BuiltinRefusal> RefusedTarget(const BuiltinSpec& spec, std::string_view target) {
  if (!LooksAtPath(spec)) return std::nullopt;
  std::string decoded;
  if (const std::string_view wrong = DecodePath(target, &decoded); !wrong.empty()) {
    return RefusedPath(StrCat("the path has ", wrong));
  }
  const auto& allowed = spec.allow_paths;
  const auto matches = [&](const PathPattern& pattern) { return pattern.Matches(decoded); };
  if (!allowed.empty() && std::none_of(allowed.begin(), allowed.end(), matches)) {
    return RefusedPath("no pattern of allow_paths matches the path");
  }
  return std::nullopt;
}

BuiltinVerdict Changed(const BuiltinSpec& spec, std::string_view target) {
  if (spec.strip_path_prefix.empty() && spec.add_path_prefix.empty()) return BuiltinForward{};
  if (!spec.strip_path_prefix.empty()) {
    const bool has_it = target.starts_with(spec.strip_path_prefix);
    if (has_it) target.remove_prefix(spec.strip_path_prefix.size());
    if (!has_it || (!target.empty() && target[0] != '/' && target[0] != '?')) {
      return RefusedPath("the path does not begin with strip_path_prefix");
    }
  }
  std::string changed = spec.add_path_prefix;
  if (changed.empty() && !target.starts_with('/')) changed = "/";
  changed.append(target);
  if (changed.size() > kMaxTargetBytes) return RefusedPath("the new path is longer than 8 KiB");
  return BuiltinForward{std::move(changed)};
}

std::string Destination(const BuiltinSpec& spec, const BuiltinRequest& request,
                        const BuiltinForward& forward) {
  return StrCat(
      spec.raise_to_https ? "https" : request.scheme, "://",
      spec.authority.has_value() ? spec.authority->ToString(0) : std::string(request.authority),
      forward.target.empty() ? request.target : std::string_view(forward.target));
}

std::string ChangesOf(const BuiltinSpec& spec) {
  std::string text;
  for (const BuiltinSpec::SetHeader& header : spec.set_headers) {
    text += StrCat(text.empty() ? ", with " : ", ", header.name, " from ",
                   header.secret.empty() ? std::string_view("the policy") : header.secret);
  }
  if (!spec.remove_headers.empty()) {
    text += StrCat(", without ", absl::StrJoin(spec.remove_headers, ", "));
  }
  return text;
}

}  // namespace

BuiltinVerdict EvaluateBuiltin(const BuiltinSpec& spec, const BuiltinRequest& request) {
  if (auto refusal = RefusedMethod(spec, request.method)) return *std::move(refusal);
  if (auto refusal = RefusedTarget(spec, request.target)) return *std::move(refusal);
  if (spec.redirect.has_value()) {
    return BuiltinRedirect{spec.redirect->status, FillLocation(spec.redirect->location, request)};
  }
  if (spec.respond.has_value()) return BuiltinRespond{&*spec.respond};
  return Changed(spec, request.target);
}

std::string DescribeVerdict(const BuiltinSpec& spec, const BuiltinRequest& request) {
  const BuiltinVerdict verdict = EvaluateBuiltin(spec, request);
  std::string text;
  if (const auto* refusal = std::get_if<BuiltinRefusal>(&verdict)) {
    text = StrCat("answers ", refusal->status, " ", refusal->reason, ": ", refusal->detail);
  } else if (const auto* respond = std::get_if<BuiltinRespond>(&verdict)) {
    text = StrCat("answers ", respond->response->status, " with ", respond->response->body.size(),
                  " bytes");
  } else if (const auto* redirect = std::get_if<BuiltinRedirect>(&verdict)) {
    text = StrCat("redirects (", redirect->status, ") to ", redirect->location);
  } else {
    text = StrCat("forwards to ", Destination(spec, request, std::get<BuiltinForward>(verdict)),
                  ChangesOf(spec));
  }
  if (spec.rate_limit.has_value()) {
    text += StrCat("; at most ", spec.rate_limit->per_second, " a second, ", spec.rate_limit->burst,
                   " at once");
  }
  return text;
}

}  // namespace sallyport
