#include "common/pki/identity.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::pki {
namespace {

constexpr std::string_view kScheme = "sallyport://";
constexpr size_t kMaxNames = 100;
constexpr size_t kMaxName = 253;

// Host names and names of handlers are written with these.
bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kMaxName || !absl::ascii_isalnum(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kServer:
      return "server";
    case Role::kAdmin:
      return "admin";
    case Role::kAgent:
      return "agent";
    case Role::kHandler:
      return "handler";
    case Role::kViewer:
      return "viewer";
  }
  return "";
}

absl::StatusOr<Role> ParseRole(std::string_view name) {
  for (const Role role : kRoles) {
    if (RoleName(role) == name) return role;
  }
  return absl::InvalidArgumentError(
      StrCat(Quote(name), " is no role; write server, admin, agent, handler or viewer"));
}

bool Identity::HasName(std::string_view name) const {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> Identity::ToUris() const {
  std::vector<std::string> uris;
  for (const std::string& name : names) uris.push_back(StrCat(kScheme, RoleName(role), "/", name));
  return uris;
}

std::string Identity::ToString() const {
  return StrCat(RoleName(role), " ", absl::StrJoin(names, ", "));
}

absl::StatusOr<Identity> MakeIdentity(Role role, std::vector<std::string> names) {
  if (names.empty()) return absl::InvalidArgumentError("a certificate needs a name");
  const size_t most = role == Role::kHandler ? kMaxNames : 1;
  if (names.size() > most) {
    return absl::InvalidArgumentError(StrCat("a certificate of role ", RoleName(role),
                                             " has at most ", most, " name", most == 1 ? "" : "s",
                                             ", not ", names.size()));
  }
  for (const std::string& name : names) {
    if (!IsName(name)) {
      return absl::InvalidArgumentError(
          StrCat(Quote(name),
                 " is no name; write 1 to 253 letters, digits, `-`, `_`, `.`, the "
                 "first a letter or digit"));
    }
  }
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
    return absl::InvalidArgumentError("a name is given twice");
  }
  return Identity{role, std::move(names)};
}

absl::StatusOr<Identity> ParseIdentity(const std::vector<std::string>& uris) {
  std::optional<Role> role;
  std::vector<std::string> names;
  for (const std::string_view uri : uris) {
    const std::string_view rest = uri.starts_with(kScheme) ? uri.substr(kScheme.size()) : "";
    const size_t slash = rest.find('/');
    const absl::StatusOr<Role> of_uri = ParseRole(rest.substr(0, slash));
    if (slash == rest.npos || !of_uri.ok()) {
      return absl::UnauthenticatedError(
          StrCat("the certificate has the URI ", Quote(uri),
                 ", which is no identity of the form sallyport://ROLE/NAME"));
    }
    if (role.has_value() && *role != *of_uri) {
      return absl::UnauthenticatedError(
          StrCat("the certificate has two roles, ", RoleName(*role), " and ", RoleName(*of_uri)));
    }
    role = *of_uri;
    names.emplace_back(rest.substr(slash + 1));
  }
  if (!role.has_value()) {
    return absl::UnauthenticatedError(
        "the certificate has no identity: a URI of the form sallyport://ROLE/NAME among its "
        "alternative names; its common name does not count");
  }
  absl::StatusOr<Identity> identity = MakeIdentity(*role, std::move(names));
  if (identity.ok()) return identity;
  return absl::UnauthenticatedError(
      StrCat("the certificate's identity is wrong: ", identity.status().message()));
}

}  // namespace sallyport::pki
