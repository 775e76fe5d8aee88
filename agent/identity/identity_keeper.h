// Has the proxy and the control plane know by what this host is known to handlers.

#ifndef SALLYPORT_AGENT_IDENTITY_IDENTITY_KEEPER_H_
#define SALLYPORT_AGENT_IDENTITY_IDENTITY_KEEPER_H_

#include <chrono>
#include <optional>
#include <string>

#include "agent/identity/token_keys.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "common/base/periodic_task.h"
#include "common/pki/key_pair.h"

namespace sallyport::agent {

// Where the certificate for handlers is; both empty: there is none.
struct HandlerCertificateFiles {
  std::string certificate;
  std::string key;
};

// Turns keys and reads files every `period`, from a thread of its own, until it is destroyed. Files
// are read rather than watched, as those of secrets are. What cannot be used is logged, once, and
// the former holds.
class IdentityKeeper {
 public:
  // All of them outlive this.
  IdentityKeeper(std::string host_name, HandlerCertificateFiles files, TokenKeys* keys,
                 ProxySupervisor* supervisor, SyncClient* sync,
                 std::chrono::milliseconds period = std::chrono::seconds(1));
  ~IdentityKeeper();

 private:
  void Look();
  // Whether it is another one than before.
  bool ReadCertificate();
  void TellProxy();

  const std::string host_name_;
  const HandlerCertificateFiles files_;
  TokenKeys* const keys_;
  ProxySupervisor* const supervisor_;
  SyncClient* const sync_;

  // Of `look_`, after the constructor.
  pki::KeyPair pair_;
  std::string problem_;  // What was logged last.

  std::optional<PeriodicTask> look_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_IDENTITY_IDENTITY_KEEPER_H_
