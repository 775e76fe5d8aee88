// A connection that has become a WebSocket: bytes both ways, and no further request to decide.

#ifndef SALLYPORT_AGENT_PROXY_UPGRADE_H_
#define SALLYPORT_AGENT_PROXY_UPGRADE_H_

#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/container.h"
#include "agent/proxy/destination.h"
#include "agent/proxy/relay.h"

namespace sallyport::proxy {

// Counts among its container's open connections from its making on, so that no change of policy
// slips between the check of the policy in force and the relaying. Belongs to one worker.
class UpgradedConnection final : public ClosableConnection {
 public:
  struct Parts {
    Destination request;  // What the container asked for.
    IpAddress dialled;    // By the container.
    // Where the request went: a handler may have sent it elsewhere.
    RequestScheme origin_scheme = RequestScheme::kHttp;
    Host origin_host;
    std::unique_ptr<OriginConnection> origin;
    ResponseHead answer;  // The origin's 101.
  };
  // `client` outlives this.
  UpgradedConnection(ContainerPtr container, Stream* client, Parts parts);

  // Why `policy` (null: none) does not permit this connection; nullopt: it does. A handler that
  // comes or goes does not end it, except one that had sent it to a host that the container may not
  // reach by itself.
  std::optional<Denial> DeniedBy(const EffectivePolicy* policy) const;
  void OnPolicyChange(const EffectivePolicy* policy) override;
  void CloseNow() override;

  // Tells the container of the 101, and passes bytes until the end, as a relay; `http` is the
  // client's connection. Returns what is to be said of the end, for the operator; empty: one of the
  // two sides ended it.
  Task<std::string> Relay(ServerExchange* http);
  // Behind the two heads.
  const RelayedBytes& bytes() const { return bytes_; }

 private:
  const ContainerPtr container_;
  Stream* const client_;
  const Parts parts_;
  RelayedBytes bytes_;
  bool closed_ = false;
  const Container::Registration registration_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_UPGRADE_H_
