// What the store keeps when containers come to hosts and leave them. Each function is a part of one
// transaction.

#ifndef SALLYPORT_CONTROLPLANE_ATTACHMENTS_H_
#define SALLYPORT_CONTROLPLANE_ATTACHMENTS_H_

#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "controlplane/store/transaction.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {

// Whether an agent of that host name is connected.
using IsLive = std::function<bool(const std::string& host)>;

enum class Arrival {
  kAnew,  // It was attached just now.
  kBack,  // The host says in its Hello that it has it.
};

// Whether a host may take a container that is placed on a host that is away. kRefused for agents
// that are known by a certificate: whoever holds that of one host must not get at the policy of
// another's containers by waiting until it is down. An admin frees such a container by deleting it.
enum class Takeover { kAllowed, kRefused };

// Places the container on the host, and makes its record if there is none. Refused with a sentence
// for the operator if id or class are wrong, or another host has it. A record that a restore took
// away is made again only for a container that is attached anew: nobody knows which rules the old
// one had.
absl::Status Attach(const std::string& host, const v1::Attached& attached, Arrival arrival,
                    Takeover takeover, const IsLive& is_live, Transaction* transaction);

// Takes the container off the host, if it is there, and with `forget` deletes its record.
void Detach(const std::string& host, const v1::Detached& detached, Transaction* transaction);

// A host says which containers it has: others that were placed there are gone from it, and with
// them the records of those that were ephemeral.
void DetachOthers(const std::string& host, const std::set<std::string>& container_ids,
                  Transaction* transaction);

// NOT_FOUND unless there is a class of that name; the message names a few that there are.
absl::Status CheckClassExists(const State& state, const std::string& class_name);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_ATTACHMENTS_H_
