// The public keys of identity tokens: what agents announce, and what is published.

#ifndef SALLYPORT_CONTROLPLANE_IDENTITY_KEYS_H_
#define SALLYPORT_CONTROLPLANE_IDENTITY_KEYS_H_

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "controlplane/store/state.h"
#include "controlplane/store/transaction.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {

// Of one host, those included that were replaced. What is more is let go of, the first to end
// first.
inline constexpr int kMaxIdentityKeys = 16;
// From now: an agent's word for how long a key is good is taken for so much.
inline constexpr std::chrono::hours kMaxIdentityKeyLife{7 * 24};

// Puts the keys in place of those that the host announced before. Those that are missing (they were
// replaced, or the agent was started anew) stay for as long as a token of theirs may hold, and no
// longer than was said of them. Nobody speaks for another host: it is whose stream it is.
// INVALID_ARGUMENT: what is announced are no keys, or they are not called by their thumbprints.
absl::Status AnnounceIdentityKeys(const std::string& host, const v1::IdentityKeys& announced,
                                  std::chrono::system_clock::time_point now,
                                  Transaction* transaction);

// All keys that are good now, as a JWK Set (RFC 7517, RFC 8037). Beyond the standards each key says
// in `host` whose it is: the one that its tokens must name in `iss`.
std::string IdentityJwks(const State& state, std::chrono::system_clock::time_point now);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_IDENTITY_KEYS_H_
