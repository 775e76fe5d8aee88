#include "agent/secrets/secrets.h"

#include <cstdlib>
#include <set>
#include <utility>

#include "agent/secrets/secret_file.h"
#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::agent {
namespace {

constexpr char kUnknown[] =
    "is not in the control plane's store, or the control plane has not been heard since the agent "
    "was started";

absl::StatusOr<std::string> ReadVariable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return absl::NotFoundError("is not in the agent's environment");
  if (const absl::Status valid = CheckSecretValue(value); !valid.ok()) return valid;
  return std::string(value);
}

void Give(absl::StatusOr<std::string> secret, internal::SecretValues::Entry* entry) {
  if (!secret.ok()) {
    entry->set_problem(std::string(secret.status().message()));
    return;
  }
  entry->set_value(*secret);
  Wipe(&*secret);
}

void WipeSecrets(internal::SecretValues* secrets) {
  for (internal::SecretValues::Entry& entry : *secrets->mutable_entries()) {
    Wipe(entry.mutable_value());
  }
}

}  // namespace

Secrets::~Secrets() {
  MutexLock lock(&mutex_);
  while (!kept_.empty()) Forget(kept_.begin()->first);
}

void Secrets::Forget(const std::string& name) {
  const auto found = kept_.find(name);
  if (found == kept_.end()) return;
  Wipe(&found->second.value);
  kept_.erase(found);
}

v1::Delta Secrets::Take(const v1::Delta& delta, bool* changed) {
  MutexLock lock(&mutex_);
  *changed = false;
  v1::Delta policy;
  policy.set_epoch(delta.epoch());
  policy.set_revision(delta.revision());
  policy.set_reset(delta.reset());
  if (delta.reset()) {
    *changed = !kept_.empty();
    while (!kept_.empty()) Forget(kept_.begin()->first);
  }
  for (const v1::Resource& resource : delta.updated()) {
    if (!resource.has_secret()) {
      *policy.add_updated() = resource;
      continue;
    }
    *changed = true;
    Forget(resource.secret().name());
    Kept& kept = kept_[resource.secret().name()];
    kept.value = resource.secret().value();
    kept.problem = resource.secret().problem();
    kept.revision = resource.revision();
  }
  for (const v1::ResourceKey& key : delta.removed()) {
    if (key.kind() != v1::RESOURCE_KIND_SECRET) {
      *policy.add_removed() = key;
      continue;
    }
    *changed = true;
    Forget(key.name());
  }
  return policy;
}

void Secrets::FillHello(v1::Hello* hello) const {
  MutexLock lock(&mutex_);
  for (const auto& [name, kept] : kept_) {
    v1::Hello::Known* const known = hello->add_known();
    known->mutable_key()->set_kind(v1::RESOURCE_KIND_SECRET);
    known->mutable_key()->set_name(name);
    known->set_revision(kept.revision);
  }
}

internal::SecretValues Secrets::Resolve(const std::vector<v1::SecretReference>& references) const {
  internal::SecretValues values;
  std::set<std::string> seen;
  for (const v1::SecretReference& reference : references) {
    if (!seen.insert(NameOf(reference)).second) continue;
    internal::SecretValues::Entry* const entry = values.add_entries();
    *entry->mutable_reference() = reference;
    Fill(reference, entry);
  }
  return values;
}

void Secrets::Fill(const v1::SecretReference& reference,
                   internal::SecretValues::Entry* entry) const {
  switch (reference.source_case()) {
    case v1::SecretReference::kFile:
      return Give(ReadSecretFile(directory_, reference.file()), entry);
    case v1::SecretReference::kEnv:
      return Give(ReadVariable(reference.env()), entry);
    case v1::SecretReference::kSecret: {
      MutexLock lock(&mutex_);
      const auto found = kept_.find(reference.secret());
      if (found == kept_.end()) return entry->set_problem(kUnknown);
      entry->set_value(found->second.value);
      return entry->set_problem(found->second.problem);
    }
    case v1::SecretReference::SOURCE_NOT_SET:
      return entry->set_problem("names no secret");
  }
}

void WipeSecrets(internal::Command* command) {
  if (command->has_add_container())
    Wipe(command->mutable_add_container()->mutable_ca_private_key());
  if (command->has_set_secrets()) WipeSecrets(command->mutable_set_secrets());
  if (command->has_set_identity()) {
    Wipe(command->mutable_set_identity()->mutable_private_key());
    Wipe(command->mutable_set_identity()->mutable_token_key());
  }
  if (command->update_policy().has_secrets()) {
    WipeSecrets(command->mutable_update_policy()->mutable_secrets());
  }
}

void WipeSecrets(v1::Delta* delta) {
  for (v1::Resource& resource : *delta->mutable_updated()) {
    if (resource.has_secret()) Wipe(resource.mutable_secret()->mutable_value());
  }
}

}  // namespace sallyport::agent
