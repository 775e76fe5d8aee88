#include "common/builtin/secret_reference.h"

#include <string.h>

#include "common/base/strings.h"
#include "common/builtin/header_rules.h"

namespace sallyport {

std::string NameOf(const v1::SecretReference& reference) {
  switch (reference.source_case()) {
    case v1::SecretReference::kFile:
      return StrCat("file ", reference.file());
    case v1::SecretReference::kEnv:
      return StrCat("env ", reference.env());
    case v1::SecretReference::kSecret:
      return StrCat("secret ", reference.secret());
    case v1::SecretReference::SOURCE_NOT_SET:
      break;
  }
  return "";
}

std::vector<v1::SecretReference> SecretsOf(const v1::Handler& handler) {
  std::vector<v1::SecretReference> references;
  for (const v1::SetHeader& header : handler.builtin().set_headers()) {
    if (header.has_secret()) references.push_back(header.secret());
  }
  return references;
}

absl::Status CheckSecretValue(std::string_view value) {
  if (value.empty()) return absl::InvalidArgumentError("is empty");
  if (value.size() > kMaxSecretBytes) return absl::InvalidArgumentError("is larger than 16 KiB");
  if (IsHeaderValue(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "has white space around it, or a line break or other control byte, which no header may hold");
}

void Wipe(std::string* secret) {
  secret->resize(secret->capacity());
  explicit_bzero(secret->data(), secret->size());
  secret->clear();
}

}  // namespace sallyport
