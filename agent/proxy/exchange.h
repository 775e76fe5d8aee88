// One request and its answer.

#ifndef SALLYPORT_AGENT_PROXY_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_EXCHANGE_H_

#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/container.h"
#include "agent/proxy/destination.h"
#include "agent/proxy/http/http_exchange.h"
#include "agent/proxy/origin.h"
#include "agent/proxy/upgrade.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

// A request of a container, plain or decrypted, on the connection that carries it.
struct ClientConnection {
  ContainerPtr container;
  Origin origin;
  std::shared_ptr<const TlsFacts> tls;  // Null: it is plain.
  ServerExchange* http = nullptr;
  bool http2 = false;
  // The client takes us for its proxy: `origin` is each request's own (serve_proxy_request.h).
  bool to_proxy = false;
};

// A request whose destination is known. What each stage of the trip is given; none changes it.
struct Exchange {
  const ClientConnection& client;
  const RequestHead& head;
  const Destination& destination;
  std::shared_ptr<const EffectivePolicy> policy;
  const std::string& request_id;
  // Of the rule that names a handler, if it matched by the address that the container dialled and
  // not by the host: what the handler adds is meant for these addresses, and a request that it lets
  // go where the container said goes to one of them or nowhere.
  std::optional<Cidr> within = {};
};

// Why a handler is asked. `rule` in words.
struct AskedBy {
  explicit AskedBy(const ToHandler& verdict)
      : reference(*verdict.reference), rule(verdict.rule.ToString()) {}

  const HandlerReference& reference;
  const std::string rule;
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
  bool lease = false;  // The handler had decided before, and was not asked.
  // The handler failed, and its rule's on_failure decided: `rule` says so.
  bool failed_open = false;
  std::string detail;
  // The request has become a WebSocket, which is yet to be relayed; else null.
  std::unique_ptr<UpgradedConnection> upgraded;
  // In monitor mode: the reason for which an enforcing class would have denied; else empty.
  std::string_view would_deny = {};
};

// Decides on one request and answers it.
Task<void> ServeRequest(ClientConnection client, RequestHead head);

// A message that is not HTTP as the RFC of its version has it: nothing of it is forwarded. `status`
// 0: there is nobody to answer. 503: there is no room for it, by the limit that `detail` names.
Task<void> ServeBadMessage(ClientConnection client, int status, std::string detail);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_EXCHANGE_H_
