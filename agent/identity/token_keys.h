// The keys by which this host signs identity tokens.

#ifndef SALLYPORT_AGENT_IDENTITY_TOKEN_KEYS_H_
#define SALLYPORT_AGENT_IDENTITY_TOKEN_KEYS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport::agent {

// Made at start, replaced in turn, in memory only. The next key is announced from the moment that
// the present one signs: a whole period before its first token. Thread-safe.
class TokenKeys {
 public:
  using Time = std::chrono::system_clock::time_point;
  static constexpr std::chrono::seconds kPeriod = std::chrono::hours(24);

  // `period`: how long a key signs. Fails if OpenSSL does.
  static absl::StatusOr<std::unique_ptr<TokenKeys>> Create(
      std::chrono::seconds period = kPeriod,
      std::function<Time()> now = std::chrono::system_clock::now);
  ~TokenKeys();

  struct Announcement {
    v1::IdentityKeys keys;
    uint64_t number = 0;  // Grows with each change.
  };
  Announcement announcement() const;
  uint64_t announcement_number() const;

  struct Signing {
    std::string seed;  // Whoever takes it wipes it.
    std::string id;
  };
  Signing signing() const;

  // Replaces the key whose time has come, unless the control plane has not been told of the next:
  // then the old one signs on for as long as it was announced to. `told`: the newest announcement
  // that it has. True: what signs, and what is announced, has changed.
  bool Turn(uint64_t told);

 private:
  struct Key {
    std::string seed;
    std::string public_key;
    std::string id;
    Time not_after;               // No token of its holds longer.
    uint64_t announced = 0;       // Announcements of this number and later ones have it.
    Time replaced = Time::max();  // When it signed last.
  };

  TokenKeys(std::chrono::seconds period, std::function<Time()> now)
      : period_(period), now_(std::move(now)) {}
  absl::Status AddKey() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::chrono::seconds period_;
  const std::function<Time()> now_;

  mutable Mutex mutex_;
  // Those that are replaced, the one that signs, and the next.
  std::vector<Key> keys_ ABSL_GUARDED_BY(mutex_);
  Time since_ ABSL_GUARDED_BY(mutex_);  // When the present key began to sign.
  uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_IDENTITY_TOKEN_KEYS_H_
