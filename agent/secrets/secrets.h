// The secrets that this host's handlers use: where each comes from, and what it is now.

#ifndef SALLYPORT_AGENT_SECRETS_SECRETS_H_
#define SALLYPORT_AGENT_SECRETS_SECRETS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/proxy/control.pb.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport::agent {

// Files and variables are read when they are asked for. What the control plane sent is kept in
// memory and nowhere else, so that after a restart of the agent it is unknown until the control
// plane is heard. Thread-safe.
class Secrets {
 public:
  // `directory`: files are below it.
  explicit Secrets(std::string directory) : directory_(std::move(directory)) {}
  ~Secrets();

  // Takes the control plane's secrets out of a delta: what is left is policy. `changed`: the delta
  // was about secrets.
  v1::Delta Take(const v1::Delta& delta, bool* changed);
  // Adds to `known` what is here of the control plane's.
  void FillHello(v1::Hello* hello) const;

  // As they are at this moment, each once.
  internal::SecretValues Resolve(const std::vector<v1::SecretReference>& references) const;

 private:
  struct Kept {
    std::string value;
    std::string problem;
    uint64_t revision = 0;
  };

  void Forget(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fill(const v1::SecretReference& reference, internal::SecretValues::Entry* entry) const;

  const std::string directory_;
  mutable Mutex mutex_;
  std::map<std::string, Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

// Overwrites the values in a message that has been used.
void WipeSecrets(internal::Command* command);
void WipeSecrets(v1::Delta* delta);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_SECRETS_SECRETS_H_
