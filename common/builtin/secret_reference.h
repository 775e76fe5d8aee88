// Secrets by where they are.

#ifndef SALLYPORT_COMMON_BUILTIN_SECRET_REFERENCE_H_
#define SALLYPORT_COMMON_BUILTIN_SECRET_REFERENCE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

inline constexpr size_t kMaxSecretBytes = 16 * 1024;

// "file github.token", "env GITHUB_TOKEN", "secret github": for messages, and as a key. Empty: none
// is named.
std::string NameOf(const v1::SecretReference& reference);

// What the handler's headers refer to; nothing of a handler that is not built in.
std::vector<v1::SecretReference> SecretsOf(const v1::Handler& handler);

// Whether the value can be sent: 1 to kMaxSecretBytes bytes that a header may hold.
// INVALID_ARGUMENT with half a sentence that quotes nothing of it.
absl::Status CheckSecretValue(std::string_view value);

// Overwrites it before it lets go of it.
void Wipe(std::string* secret);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_SECRET_REFERENCE_H_
