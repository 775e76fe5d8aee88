#include "controlplane/store/transaction.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/live_endpoint.h"

namespace sallyport {
namespace {

template <typename Record, typename Message>
bool Same(const std::shared_ptr<const Record>& record, const Message& value) {
  return record != nullptr &&
         google::protobuf::util::MessageDifferencer::Equals(record->value, value);
}

}  // namespace

void Transaction::Add(Change::Table table, const std::string& key,
                      std::optional<std::string> value) {
  changes_.push_back({table, key, revision_, std::move(value)});
  // A request that is remembered is nothing that agents or operators see, and an agent's key is no
  // policy.
  if (table != Change::Table::kRequests && table != Change::Table::kIdentityKeys)
    takes_revision_ = true;
}

void Transaction::PutClass(const v1::ContainerClass& value) {
  if (Same(state_.classes.Find(value.name()), value)) return;
  Add(Change::Table::kClasses, value.name(), value.SerializeAsString());
  state_.SetClass(value, revision_);
}

void Transaction::PutContainer(const v1::ContainerPolicy& value) {
  if (Same(state_.containers.Find(value.container_id()), value)) return;
  Add(Change::Table::kContainers, value.container_id(), value.SerializeAsString());
  state_.SetContainer(value, revision_);
}

absl::Status Transaction::PutHandler(v1::Handler value) {
  const auto before = state_.handlers.Find(value.name());
  value.clear_lease_epoch();
  value.clear_live_endpoints();
  if (before != nullptr) {
    value.set_lease_epoch(before->value.lease_epoch());
    *value.mutable_live_endpoints() = before->value.live_endpoints();
  }
  RETURN_IF_ERROR(CheckLiveEndpoints(value));
  StoreHandler(value);
  return absl::OkStatus();
}

absl::Status Transaction::PutLiveEndpoint(const std::string& handler,
                                          const v1::LiveEndpoint& live) {
  const auto record = state_.handlers.Find(handler);
  if (record == nullptr) return NoHandler(handler);
  v1::Handler value = record->value;
  RETURN_IF_ERROR(sallyport::PutLiveEndpoint(live, &value));
  StoreHandler(value);
  return absl::OkStatus();
}

void Transaction::DeleteLiveEndpoint(const std::string& handler, const std::string& endpoint) {
  const auto record = state_.handlers.Find(handler);
  if (record == nullptr || FindLiveEndpoint(record->value, endpoint) == nullptr) return;
  v1::Handler value = record->value;
  RemoveLiveEndpoint(endpoint, &value);
  StoreHandler(value);
}

absl::Status Transaction::RevokeLeases(const std::string& name) {
  const auto record = state_.handlers.Find(name);
  if (record == nullptr) return NoHandler(name);
  v1::Handler value = record->value;
  value.set_lease_epoch(value.lease_epoch() + 1);
  StoreHandler(value);
  return absl::OkStatus();
}

void Transaction::StoreHandler(const v1::Handler& value) {
  if (Same(state_.handlers.Find(value.name()), value)) return;
  Add(Change::Table::kHandlers, value.name(), value.SerializeAsString());
  state_.SetHandler(value, revision_);
}

void Transaction::DeleteClass(const std::string& name) {
  if (state_.classes.Find(name) == nullptr) return;
  Add(Change::Table::kClasses, name, std::nullopt);
  state_.classes.Erase(name);
}

void Transaction::DeleteContainer(const std::string& container_id) {
  Unplace(container_id);
  if (state_.containers.Find(container_id) == nullptr) return;
  Add(Change::Table::kContainers, container_id, std::nullopt);
  state_.containers.Erase(container_id);
}

void Transaction::DeleteHandler(const std::string& name) {
  if (state_.handlers.Find(name) == nullptr) return;
  Add(Change::Table::kHandlers, name, std::nullopt);
  state_.handlers.Erase(name);
}

void Transaction::PutSecret(const std::string& name, const std::string& sealed) {
  Add(Change::Table::kSecrets, name, sealed);
  state_.SetSecret(name, sealed, revision_);
}

void Transaction::DeleteSecret(const std::string& name) {
  if (state_.secrets.Find(name) == nullptr) return;
  Add(Change::Table::kSecrets, name, std::nullopt);
  state_.secrets.Erase(name);
}

void Transaction::Place(const std::string& container_id, const std::string& host, Stay stay) {
  const auto before = state_.placements.Find(container_id);
  if (before != nullptr && *before == host && state_.StayOf(container_id) == stay) return;
  Add(Change::Table::kPlacements, container_id, PlacementRow(host, stay));
  state_.Place(container_id, host, stay);
}

void Transaction::Unplace(const std::string& container_id) {
  if (state_.placements.Find(container_id) == nullptr) return;
  Add(Change::Table::kPlacements, container_id, std::nullopt);
  state_.Unplace(container_id);
}

void Transaction::PutIdentityKeys(const std::string& host, const std::string& keys) {
  const auto before = state_.identity_keys.Find(host);
  if (before != nullptr && *before == keys) return;
  Add(Change::Table::kIdentityKeys, host, keys);
  state_.identity_keys.Set(host, std::make_shared<std::string>(keys));
}

void Transaction::DeleteIdentityKeys(const std::string& host) {
  if (state_.identity_keys.Find(host) == nullptr) return;
  Add(Change::Table::kIdentityKeys, host, std::nullopt);
  state_.identity_keys.Erase(host);
}

void Transaction::Restore(const State& backup, uint64_t epoch) {
  SALLYPORT_CHECK(!changed());
  restored_ = true;
  revision_ = std::max(base_revision_, backup.revision) + 1;
  EraseOthers(backup.classes, Change::Table::kClasses, &state_.classes);
  EraseOthers(backup.containers, Change::Table::kContainers, &state_.containers);
  EraseOthers(backup.handlers, Change::Table::kHandlers, &state_.handlers);
  EraseOthers(backup.secrets, Change::Table::kSecrets, &state_.secrets);
  state_.requests.ForEach([&](const std::string& id, const RequestRecord&) {
    Add(Change::Table::kRequests, id, std::nullopt);
  });
  state_.requests = {};
  state_.request_ring = {};
  state_.epoch = epoch;
  backup.classes.ForEach([&](const std::string& name, const ClassRecord& record) {
    Add(Change::Table::kClasses, name, record.value.SerializeAsString());
    state_.SetClass(record.value, revision_);
  });
  backup.containers.ForEach([&](const std::string& id, const ContainerRecord& record) {
    Add(Change::Table::kContainers, id, record.value.SerializeAsString());
    state_.SetContainer(record.value, revision_);
  });
  backup.handlers.ForEach([&](const std::string& name, const HandlerRecord& record) {
    Add(Change::Table::kHandlers, name, record.value.SerializeAsString());
    state_.SetHandler(record.value, revision_);
  });
  backup.secrets.ForEach(
      [&](const std::string& name, const SecretRecord& record) { PutSecret(name, record.sealed); });
  if (base_revision_ > 0) return;
  backup.placements.ForEach(
      [&](const std::string& id, const std::string& host) { Place(id, host, backup.StayOf(id)); });
}

template <typename Record>
void Transaction::EraseOthers(const CowMap<Record>& kept, Change::Table table,
                              CowMap<Record>* records) {
  for (const auto& [key, record] : records->Sorted()) {
    if (kept.Find(key) != nullptr) continue;
    Add(table, key, std::nullopt);
    records->Erase(key);
  }
}

void Transaction::Remember(const std::string& request_id, const std::string& fingerprint,
                           uint64_t revision) {
  const uint64_t number = state_.last_request + 1;
  if (const auto oldest = state_.RequestInPlaceOf(number); oldest != nullptr) {
    Add(Change::Table::kRequests, *oldest, std::nullopt);
    state_.requests.Erase(*oldest);
  }
  Add(Change::Table::kRequests, request_id, StrCat(number, " ", revision, " ", fingerprint));
  state_.SetRequest(request_id, {number, revision, fingerprint});
}

absl::Status Transaction::UpdateContainer(
    const std::string& container_id,
    const std::function<absl::Status(v1::ContainerPolicy*)>& edit) {
  const auto record = state_.containers.Find(container_id);
  if (record == nullptr) return NoContainer(container_id);
  v1::ContainerPolicy policy = record->value;
  RETURN_IF_ERROR(edit(&policy));
  PutContainer(policy);
  return absl::OkStatus();
}

std::string PlacementRow(const std::string& host, Stay stay) {
  return stay == Stay::kEphemeral ? StrCat(host, " ephemeral") : host;
}

absl::Status NoContainer(const std::string& container_id) {
  return absl::NotFoundError(
      StrCat("container_id: there is no container ", Quote(container_id),
             "; one comes into being when a host attaches it, or by CreateContainer"));
}

absl::Status NoHandler(const std::string& name) {
  return absl::NotFoundError(
      StrCat("name: there is no handler ", Quote(name), "; ListHandlers shows those there are"));
}

State Transaction::Result() const {
  State result = state_;
  result.revision = revision();
  return result;
}

}  // namespace sallyport
