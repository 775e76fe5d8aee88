#include "agent/policy_cache.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "agent/checked_file.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {

absl::StatusOr<std::unique_ptr<PolicyCache>> PolicyCache::Open(const std::string& state_dir) {
  std::error_code error;
  std::filesystem::create_directories(state_dir, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               StrCat("--state-dir ", Quote(state_dir), " cannot be made"));
  }
  // Policies name hosts and carry handlers' parameters.
  chmod(state_dir.c_str(), 0700);
  std::unique_ptr<PolicyCache> cache(new PolicyCache(state_dir + "/policy.cache"));
  absl::StatusOr<std::string> content = ReadCheckedFile(cache->path_);
  if (absl::IsNotFound(content.status())) return cache;
  v1::Delta delta;
  if (!content.ok() || !delta.ParseFromString(*content)) {
    LogWarning(
        "the cached policy is ignored, and containers reach nothing until the control plane "
        "answers: ",
        content.ok() ? "it is not a policy" : content.status().message());
    return cache;
  }
  MutexLock lock(&cache->mutex_);
  cache->state_ = FromDelta(delta);
  return cache;
}

absl::Status PolicyCache::CheckLeadsOn(const v1::Delta& delta) const {
  MutexLock lock(&mutex_);
  return CheckLeadsOnLocked(delta);
}

absl::Status PolicyCache::CheckLeadsOnLocked(const v1::Delta& delta) const {
  if (delta.reset()) return absl::OkStatus();
  if (delta.epoch() != state_.epoch && state_.epoch != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a delta of epoch ", delta.epoch(), " does not lead on from epoch ", state_.epoch));
  }
  if (delta.revision() != 0 && delta.revision() < state_.revision) {
    return absl::FailedPreconditionError(absl::StrCat("revision ", delta.revision(),
                                                      " is older than revision ", state_.revision,
                                                      ", which is in force"));
  }
  return absl::OkStatus();
}

absl::Status PolicyCache::Commit(const v1::Delta& delta,
                                 const std::vector<v1::Ack::Rejected>& rejected) {
  std::set<Key> refused;
  for (const v1::Ack::Rejected& one : rejected) refused.emplace(one.key().kind(), one.key().name());

  MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckLeadsOnLocked(delta));
  State next{delta.epoch(), delta.revision(), {}};
  if (!delta.reset()) {
    next.revision = std::max(next.revision, state_.revision);
    next.resources = state_.resources;
  }
  for (const v1::ResourceKey& key : delta.removed())
    next.resources.erase(Key(key.kind(), key.name()));
  for (const v1::Resource& resource : delta.updated()) {
    Key key = KeyOf(resource);
    if (key.first == v1::RESOURCE_KIND_UNSPECIFIED || refused.contains(key)) continue;
    next.resources[std::move(key)] = resource;
  }
  return Replace(std::move(next));
}

absl::Status PolicyCache::Forget(const std::string& container_id) {
  MutexLock lock(&mutex_);
  State next = state_;
  if (next.resources.erase(Key(v1::RESOURCE_KIND_CONTAINER, container_id)) == 0)
    return absl::OkStatus();
  return Replace(std::move(next));
}

absl::Status PolicyCache::Replace(State next) {
  RETURN_IF_ERROR(WriteCheckedFile(path_, ToDelta(next).SerializeAsString()));
  state_ = std::move(next);
  return absl::OkStatus();
}

v1::Delta PolicyCache::Full() const {
  MutexLock lock(&mutex_);
  return ToDelta(state_);
}

void PolicyCache::FillHello(v1::Hello* hello) const {
  MutexLock lock(&mutex_);
  hello->set_epoch(state_.epoch);
  for (const auto& [key, resource] : state_.resources) {
    v1::Hello::Known* const known = hello->add_known();
    known->mutable_key()->set_kind(key.first);
    known->mutable_key()->set_name(key.second);
    known->set_revision(resource.revision());
  }
}

uint64_t PolicyCache::revision() const {
  MutexLock lock(&mutex_);
  return state_.revision;
}

std::optional<std::string> PolicyCache::ClassOf(const std::string& container_id) const {
  MutexLock lock(&mutex_);
  const auto found = state_.resources.find(Key(v1::RESOURCE_KIND_CONTAINER, container_id));
  if (found == state_.resources.end()) return std::nullopt;
  return found->second.container().class_name();
}

PolicyCache::Key PolicyCache::KeyOf(const v1::Resource& resource) {
  switch (resource.value_case()) {
    case v1::Resource::kClass:
      return {v1::RESOURCE_KIND_CLASS, resource.class_().name()};
    case v1::Resource::kContainer:
      return {v1::RESOURCE_KIND_CONTAINER, resource.container().container_id()};
    case v1::Resource::kHandler:
      return {v1::RESOURCE_KIND_HANDLER, resource.handler().name()};
    case v1::Resource::VALUE_NOT_SET:
      break;
  }
  return {v1::RESOURCE_KIND_UNSPECIFIED, ""};
}

v1::Delta PolicyCache::ToDelta(const State& state) {
  v1::Delta delta;
  delta.set_epoch(state.epoch);
  delta.set_revision(state.revision);
  delta.set_reset(true);
  for (const auto& [key, resource] : state.resources) *delta.add_updated() = resource;
  return delta;
}

PolicyCache::State PolicyCache::FromDelta(const v1::Delta& delta) {
  State state{delta.epoch(), delta.revision(), {}};
  for (const v1::Resource& resource : delta.updated()) {
    state.resources[KeyOf(resource)] = resource;
  }
  return state;
}

}  // namespace sallyport::agent
