#include "agent/proxy/egress.h"

#include <optional>
#include <utility>

#include "agent/proxy/ask_origin.h"
#include "agent/proxy/forged_headers.h"
#include "agent/proxy/http/characters.h"
#include "agent/proxy/loop.h"
#include "agent/proxy/mediation.h"
#include "agent/proxy/refusal.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// Over as many connections.
constexpr int kMaxTimesSent = 3;

// Whether a part of the body came with the head.
bool HasFirstPiece(ServerExchange& client) {
  return !client.body_complete() && client.body().ReadyNow();
}

// gRPC without TLS is HTTP/2 with prior knowledge, and nothing else will do. The client's TE tells
// it from what merely names the type, as gRPC demands it.
bool NeedsHttp2(const OriginRequest& request) {
  constexpr std::string_view kGrpc = "application/grpc";
  const std::string* type = request.headers.Find("content-type");
  if (!request.te_trailers || type == nullptr || !StartsWithIgnoreCase(*type, kGrpc)) return false;
  const std::string_view rest = std::string_view(*type).substr(kGrpc.size());
  return rest.empty() || rest[0] == '+' || rest[0] == ';' || rest[0] == ' ';
}

OriginKey KeyOf(Container& container, const OriginRequest& request) {
  OriginKey key{request.scheme == RequestScheme::kHttps, OriginHttp::kHttp1, request.host,
                request.port, request.within};
  if (key.tls) {
    if (!container.origins().http2.RequiresHttp1(key)) key.http = OriginHttp::kByAlpn;
  } else if (NeedsHttp2(request)) {
    key.http = OriginHttp::kHttp2;
  }
  return key;
}

// Without TLS, HTTP/2 is asked for because nothing else will do.
void RequireHttp1(Container& container, OriginKey* key) {
  if (!key->tls) return;
  container.origins().http2.RequireHttp1(*key);
  key->http = OriginHttp::kHttp1;
}

// Leaves the WebSocket in the outcome, unless policy has turned against it since the request was
// decided.
Task<Outcome> Upgrade(const Exchange& exchange, const OriginRequest& request,
                      std::unique_ptr<OriginConnection> connection, Switched switched) {
  const ContainerPtr& container = exchange.client.container;
  auto upgraded = std::make_unique<UpgradedConnection>(
      container, &exchange.client.http->tunnel(),
      UpgradedConnection::Parts{exchange.destination, exchange.client.origin.address,
                                request.scheme, request.host, std::move(connection),
                                std::move(switched.answer)});
  std::optional<Denial> denial = upgraded->DeniedBy(container->policy().get());
  if (denial.has_value()) {
    upgraded = nullptr;
    co_return co_await RefuseByPolicy(exchange, *std::move(denial));
  }
  switched.outcome.upgraded = std::move(upgraded);
  co_return std::move(switched.outcome);
}

// A request that is sent once more if the connection turns out to be dead may do without asking
// whether it is.
Pooled PooledFor(const OriginRequest& request) {
  // A WebSocket's HTTP/1 connection ends with it, and may not be one that is about to end.
  if (request.websocket) return Pooled::kUnwanted;
  const bool may_repeat = IsIdempotent(request.method) && request.framing == BodyFraming::kNone;
  return may_repeat ? Pooled::kWelcome : Pooled::kWelcomeIfAlive;
}

// But for its rule.
Outcome EgressBy(const OriginConnection& connection, uint16_t port) {
  Outcome outcome;
  outcome.decision = "egress";
  outcome.upstream = StrCat(connection.address.ToUriString(), ":", port);
  if (connection.would_deny.has_value()) outcome.would_deny = ReasonName(*connection.would_deny);
  return outcome;
}

// Connects as often as need be, and leaves the last connection and what still reads the body.
Task<Sent> SendUntilAnswered(const Exchange& exchange, OriginRequest& request,
                             std::string_view first, Mediation* mediation, OriginKey* key,
                             std::unique_ptr<OriginConnection>* connection,
                             std::shared_ptr<BodyPump>* pump) {
  Container& container = *exchange.client.container;
  if (request.websocket) {
    *connection = TakeForWebSocket(container, *key);
    key->http = OriginHttp::kHttp1;
  }
  Pooled pooled = PooledFor(request);
  for (int times = 1; times <= kMaxTimesSent; ++times) {
    if (*connection == nullptr) *connection = TakePooled(container, *key, pooled);
    if (*connection == nullptr) {
      OriginConnected connected = co_await ConnectToOrigin(exchange.client.container, *key, pooled);
      if (auto* denial = std::get_if<Denial>(&connected)) co_return std::move(*denial);
      if (auto* failure = std::get_if<OriginFailure>(&connected)) co_return std::move(*failure);
      *connection = std::move(std::get<std::unique_ptr<OriginConnection>>(connected));
      if (pooled == Pooled::kUnwanted) (*connection)->reused = false;
    }
    Sent sent =
        co_await AskOrigin(Attempt{exchange, request, **connection, first, mediation, *pump},
                           EgressBy(**connection, request.port));
    const auto* retry = std::get_if<Retry>(&sent);
    if (retry == nullptr) co_return sent;
    if (retry->over_http1) RequireHttp1(container, key);
    *connection = nullptr;
    pooled = Pooled::kUnwanted;
  }
  co_return OriginFailureOf("origin_unreachable", "the origin refuses the request's streams");
}

}  // namespace

bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS" || method == "TRACE";
}

OriginRequest OriginRequestOf(const Exchange& exchange) {
  OriginRequest request;
  request.scheme = exchange.destination.scheme;
  request.host = exchange.destination.host;
  request.port = exchange.destination.port;
  request.method = exchange.head.method;
  request.target = exchange.head.target;
  request.headers = exchange.head.headers;
  RemoveHopByHop(&request.headers);
  request.headers.Remove("host");
  request.headers.Remove("content-length");
  request.headers.Remove("expect");
  request.headers.RemoveIf([](const Header& header) { return IsSallyportHeader(header.name); });
  AddHop(&request.headers);
  request.framing = exchange.head.framing;
  request.content_length = exchange.head.content_length;
  request.websocket = exchange.head.websocket;
  request.te_trailers = exchange.head.te_trailers;
  return request;
}

Task<Outcome> RefuseToSend(const Exchange& exchange, const OriginRequest& request, Denial denial) {
  if (!request.host_is_handlers) co_return co_await RefuseByPolicy(exchange, std::move(denial));
  co_return co_await AnswerFailure(
      exchange, 502, "handler_failed",
      StrCat("the handler forwards to ", request.host.text(), ": ", ReasonName(denial.reason),
             denial.rule.empty() ? "" : " by ", denial.rule));
}

Task<Outcome> SendToOrigin(const Exchange& exchange, OriginRequest request, std::string rule,
                           Mediation* mediation) {
  Container& container = *exchange.client.container;
  absl::StatusOr<std::string_view> first = "";
  // A body whose beginning is badly framed is refused before an origin hears of the request. What
  // follows the request for a WebSocket is no body: it waits for the origin's agreement.
  const bool reads_body =
      !request.websocket && (mediation == nullptr || !mediation->transforms_request());
  if (reads_body && HasFirstPiece(*exchange.client.http))
    first = co_await exchange.client.http->body().Read();
  if (!first.ok()) co_return co_await RefuseBody(exchange, first.status());
  OriginKey key = KeyOf(container, request);
  std::unique_ptr<OriginConnection> connection;
  std::shared_ptr<BodyPump> pump;
  Sent sent =
      co_await SendUntilAnswered(exchange, request, *first, mediation, &key, &connection, &pump);
  if (pump != nullptr) {
    co_await pump->Stop();
    if (std::get_if<Outcome>(&sent) == nullptr && !pump->client_status().ok())
      co_return co_await RefuseBody(exchange, pump->client_status());
  }
  // Nobody else reads the container's body while it is answered.
  if (mediation != nullptr && std::get_if<Outcome>(&sent) == nullptr)
    co_await mediation->LeaveContainer();
  if (auto* denial = std::get_if<Denial>(&sent))
    co_return co_await RefuseToSend(exchange, request, std::move(*denial));
  if (auto* failure = std::get_if<OriginFailure>(&sent)) {
    co_return co_await AnswerFailure(exchange, failure->status, failure->reason,
                                     std::move(failure->detail));
  }
  if (auto* switched = std::get_if<Switched>(&sent)) {
    switched->outcome.rule = std::move(rule);
    co_return co_await Upgrade(exchange, request, std::move(connection), std::move(*switched));
  }
  if (connection->http->reusable() && !request.websocket && !container.closed())
    container.origins().http1.Put(key, std::move(connection));
  Outcome& outcome = std::get<Outcome>(sent);
  outcome.rule = std::move(rule);
  co_return std::move(outcome);
}

}  // namespace sallyport::proxy
