// Changes to a state, made together or not at all.

#ifndef SALLYPORT_CONTROLPLANE_STORE_TRANSACTION_H_
#define SALLYPORT_CONTROLPLANE_STORE_TRANSACTION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/store/state.h"

namespace sallyport {

// One row of durable storage, after a change.
struct Change {
  enum class Table {
    kClasses,
    kContainers,
    kHandlers,
    kPlacements,
    kRequests,
    kSecrets,
    kIdentityKeys
  };
  Table table;
  std::string key;
  // Of the transaction that made it.
  uint64_t revision = 0;
  // Serialized message (v1::IdentityKeys for kIdentityKeys), a PlacementRow for kPlacements,
  // "NUMBER REVISION FINGERPRINT" for kRequests, or what SecretSealer made for kSecrets. nullopt:
  // the row is deleted.
  std::optional<std::string> value;
};

// "HOST", or "HOST ephemeral".
std::string PlacementRow(const std::string& host, Stay stay);

// Sees its own changes. Putting what is already there, or deleting what is not, changes nothing and
// takes no revision. Not thread-safe.
class Transaction {
 public:
  explicit Transaction(const State& base)
      : base_revision_(base.revision), state_(base), revision_(base.revision + 1) {}

  const State& state() const { return state_; }
  const std::vector<Change>& changes() const { return changes_; }
  // Whether there is something to commit.
  bool changed() const { return restored_ || !changes_.empty(); }
  // The store's revision after it: the next one, or the present one while nothing is changed.
  uint64_t revision() const { return takes_revision_ || restored_ ? revision_ : base_revision_; }

  // The values must be normalised (common/policy).
  void PutClass(const v1::ContainerClass& value);
  void PutContainer(const v1::ContainerPolicy& value);
  // The stored handler's lease epoch and live endpoints stay, whatever the value says.
  // INVALID_ARGUMENT, without the field's path, if it does not fit the latter.
  absl::Status PutHandler(v1::Handler value);
  // Adds it, or replaces the one at the same place. NOT_FOUND; else as in
  // common/policy/live_endpoint.h.
  absl::Status PutLiveEndpoint(const std::string& handler, const v1::LiveEndpoint& live);
  void DeleteLiveEndpoint(const std::string& handler, const std::string& endpoint);
  // Counts its lease epoch up. NOT_FOUND.
  absl::Status RevokeLeases(const std::string& name);
  void DeleteClass(const std::string& name);
  // Its placement goes with it.
  void DeleteContainer(const std::string& container_id);
  void DeleteHandler(const std::string& name);
  // Also of the same value: a sealed one does not tell.
  void PutSecret(const std::string& name, const std::string& sealed);
  void DeleteSecret(const std::string& name);
  void Place(const std::string& container_id, const std::string& host, Stay stay = Stay::kLasting);
  void Unplace(const std::string& container_id);
  // `keys`: a serialized v1::IdentityKeys. Takes no revision.
  void PutIdentityKeys(const std::string& host, const std::string& keys);
  void DeleteIdentityKeys(const std::string& host);

  // Makes classes, containers, handlers and secrets those of the backup, all at one new revision
  // that neither has had, and gives the store a new epoch. Containers stay placed where they are,
  // also those that the backup does not know: they reach nothing until they are attached anew. (An
  // empty store takes the backup's word for who is where.) Requests are forgotten: what they did
  // may be gone. REQUIRES: nothing else was changed.
  void Restore(const State& backup, uint64_t epoch);

  // Remembers what was answered to the request, in place of the oldest one if there are
  // kMaxRequests. Takes no revision. REQUIRES: the id is not in state().requests.
  void Remember(const std::string& request_id, const std::string& fingerprint, uint64_t revision);

  // Reads the container, edits a copy, puts it back. NOT_FOUND if there is none of that id; an
  // error of `edit` is handed on, and the container stays as it was.
  absl::Status UpdateContainer(const std::string& container_id,
                               const std::function<absl::Status(v1::ContainerPolicy*)>& edit);

  // The state with the changes and, if there are any, the next revision.
  State Result() const;

 private:
  void StoreHandler(const v1::Handler& value);
  void Add(Change::Table table, const std::string& key, std::optional<std::string> value);
  template <typename Record>
  void EraseOthers(const CowMap<Record>& kept, Change::Table table, CowMap<Record>* records);

  const uint64_t base_revision_;
  State state_;
  uint64_t revision_;
  bool restored_ = false;
  std::vector<Change> changes_;
  bool takes_revision_ = false;
};

// NOT_FOUND with a sentence for the caller.
absl::Status NoContainer(const std::string& container_id);
absl::Status NoHandler(const std::string& name);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_TRANSACTION_H_
