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
#include "common/policy/handler_endpoint.h"

namespace sallyport::agent {
namespace {

std::string LogPath(const std::string& path) {
  return std::filesystem::path(path).replace_extension(".log");
}

}  // namespace

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
  MutexLock lock(&cache->mutex_);
  cache->Load();
  return cache;
}

void PolicyCache::Load() {
  const absl::StatusOr<std::string> content = ReadCheckedFile(path_);
  if (absl::IsNotFound(content.status())) return;
  v1::Delta delta;
  if (!content.ok() || !delta.ParseFromString(*content)) {
    LogWarning(
        "the cached policy is ignored, and containers reach nothing until the control plane "
        "answers: ",
        content.ok() ? "it is not a policy" : content.status().message());
    return;
  }
  absl::StatusOr<PolicyLog> log = PolicyLog::Open(LogPath(path_));
  if (absl::IsNotFound(log.status())) return ApplyTo(delta, &state_);
  const absl::StatusOr<std::vector<std::string>> payloads =
      log.ok() ? log->Replay(Checksum("", *content)) : log.status();
  if (!payloads.ok()) {
    LogWarning(
        "the cached policy is ignored, because its last changes are not known, and containers "
        "reach nothing until the control plane answers: ",
        payloads.status().message());
    return;
  }
  ApplyTo(delta, &state_);
  for (const std::string& payload : *payloads) {
    if (delta.ParseFromString(payload)) ApplyTo(delta, &state_);
  }
  log_ = *std::move(log);
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
  v1::Delta kept = delta;
  kept.clear_updated();
  for (const v1::Resource& resource : delta.updated()) {
    const Key key = KeyOf(resource);
    if (key.first == v1::RESOURCE_KIND_UNSPECIFIED || refused.contains(key)) continue;
    *kept.add_updated() = resource;
  }
  return Take(kept);
}

absl::Status PolicyCache::Forget(const std::string& container_id) {
  MutexLock lock(&mutex_);
  if (!state_.resources.contains(Key(v1::RESOURCE_KIND_CONTAINER, container_id))) {
    return absl::OkStatus();
  }
  v1::Delta delta;
  delta.set_epoch(state_.epoch);
  delta.set_revision(state_.revision);
  delta.add_removed()->set_kind(v1::RESOURCE_KIND_CONTAINER);
  delta.mutable_removed(0)->set_name(container_id);
  return Take(delta);
}

absl::Status PolicyCache::Take(const v1::Delta& delta) {
  const std::string payload = delta.SerializeAsString();
  const bool logged = !delta.reset() && log_.has_value() && log_->Fits(payload.size()) &&
                      log_->Append(payload).ok();
  if (!logged) return TakeWhole(delta);
  ApplyTo(delta, &state_);
  return absl::OkStatus();
}

absl::Status PolicyCache::TakeWhole(const v1::Delta& delta) {
  State next = state_;
  ApplyTo(delta, &next);
  const std::string content = ToDelta(next).SerializeAsString();
  RETURN_IF_ERROR(WriteCheckedFile(path_, content));
  state_ = std::move(next);
  if (!log_.has_value()) {
    absl::StatusOr<PolicyLog> log = PolicyLog::OpenOrMake(LogPath(path_));
    // Without a log each change writes a whole file.
    if (!log.ok()) return absl::OkStatus();
    log_ = *std::move(log);
  }
  log_->Restart(Checksum("", content));
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

uint64_t PolicyCache::epoch() const {
  MutexLock lock(&mutex_);
  return state_.epoch;
}

std::optional<std::string> PolicyCache::ClassOf(const std::string& container_id) const {
  MutexLock lock(&mutex_);
  const auto found = state_.resources.find(Key(v1::RESOURCE_KIND_CONTAINER, container_id));
  if (found == state_.resources.end()) return std::nullopt;
  return found->second.container().class_name();
}

bool PolicyCache::NamesSocket(const std::string& path) const {
  const auto is_there = [&path](const std::string& text) {
    const absl::StatusOr<HandlerEndpoint> endpoint = HandlerEndpoint::Parse(text);
    return endpoint.ok() && endpoint->is_unix() && endpoint->path == path;
  };
  MutexLock lock(&mutex_);
  for (auto at = state_.resources.lower_bound(Key(v1::RESOURCE_KIND_HANDLER, ""));
       at != state_.resources.end() && at->first.first == v1::RESOURCE_KIND_HANDLER; ++at) {
    const v1::Handler& handler = at->second.handler();
    if (std::ranges::any_of(handler.endpoints(), is_there)) return true;
    for (const v1::LiveEndpoint& live : handler.live_endpoints()) {
      if (is_there(live.endpoint())) return true;
    }
  }
  return false;
}

PolicyCache::Key PolicyCache::KeyOf(const v1::Resource& resource) {
  switch (resource.value_case()) {
    case v1::Resource::kClass:
      return {v1::RESOURCE_KIND_CLASS, resource.class_().name()};
    case v1::Resource::kContainer:
      return {v1::RESOURCE_KIND_CONTAINER, resource.container().container_id()};
    case v1::Resource::kHandler:
      return {v1::RESOURCE_KIND_HANDLER, resource.handler().name()};
    // A secret is never on disk.
    case v1::Resource::kSecret:
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

void PolicyCache::ApplyTo(const v1::Delta& delta, State* state) {
  if (delta.reset()) *state = State();
  state->epoch = delta.epoch();
  state->revision = std::max(state->revision, delta.revision());
  for (const v1::ResourceKey& key : delta.removed()) {
    state->resources.erase(Key(key.kind(), key.name()));
  }
  for (const v1::Resource& resource : delta.updated()) {
    state->resources[KeyOf(resource)] = resource;
  }
}

}  // namespace sallyport::agent
