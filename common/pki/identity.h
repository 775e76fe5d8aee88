// Who a certificate says its owner is: one role, and names in it. In a certificate each name is a
// URI among the subject's alternative names:
//
//   sallyport://agent/host-7         sallyport://handler/kv  sallyport://handler/read-only

#ifndef SALLYPORT_COMMON_PKI_IDENTITY_H_
#define SALLYPORT_COMMON_PKI_IDENTITY_H_

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::pki {

enum class Role {
  kServer,   // A control plane.
  kAdmin,    // May do everything.
  kAgent,    // Of the host with its name.
  kHandler,  // Of the handlers with its names.
  kViewer,   // May read policy.
};
inline constexpr std::array kRoles = {Role::kServer, Role::kAdmin, Role::kAgent, Role::kHandler,
                                      Role::kViewer};

std::string_view RoleName(Role role);
absl::StatusOr<Role> ParseRole(std::string_view name);

// Immutable value. REQUIRES: made by MakeIdentity or ParseIdentity.
struct Identity {
  Role role = Role::kViewer;
  std::vector<std::string> names;  // One; a handler may have more.

  bool HasName(std::string_view name) const;
  std::vector<std::string> ToUris() const;
  std::string ToString() const;  // `agent host-7`, for messages.
};

// INVALID_ARGUMENT if a name is none, or there are too few or too many.
absl::StatusOr<Identity> MakeIdentity(Role role, std::vector<std::string> names);

// Strict: every URI must be one of ours, as written above to the letter, and all of one role.
// UNAUTHENTICATED otherwise.
absl::StatusOr<Identity> ParseIdentity(const std::vector<std::string>& uris);

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_IDENTITY_H_
