// One request and its answer.

#ifndef SALLYPORT_AGENT_PROXY_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_EXCHANGE_H_

#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/container.h"
#include "agent/proxy/destination.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/origin.h"
#include "agent/proxy/upgrade.h"

namespace sallyport::proxy {

// A connection that carries HTTP requests of a container, plain or decrypted.
struct ClientConnection {
  ContainerPtr container;
  Origin origin;
  std::optional<TlsFacts> tls;
  Stream* stream = nullptr;
  H1ServerConnection* http = nullptr;
};

// A request whose destination is known. What each stage of the trip is given; none changes it.
struct Exchange {
  const ClientConnection& client;
  const RequestHead& head;
  const Destination& destination;
  std::shared_ptr<const EffectivePolicy> policy;
  std::string request_id;
};

// How an exchange ended; becomes the audit record's decision.
struct Outcome {
  std::string_view decision;
  std::string_view reason;
  std::string rule;
  std::string handler;
  int status = 0;
  std::string upstream;
  int64_t handler_us = 0;
  std::string detail;
  // The request has become a WebSocket, which is yet to be relayed; else null.
  std::unique_ptr<UpgradedConnection> upgraded;
  // In monitor mode: the reason for which an enforcing class would have denied; else empty.
  std::string_view would_deny = {};
};

// Serves the requests of a connection, each decided on its own, until it ends. `early` was read
// from the stream before.
Task<void> ServeRequests(ClientConnection client, std::string early);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_EXCHANGE_H_
