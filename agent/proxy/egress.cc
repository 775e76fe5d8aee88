#include "agent/proxy/egress.h"

#include <chrono>
#include <utility>

#include "agent/proxy/body_pump.h"
#include "agent/proxy/connect_origin.h"
#include "agent/proxy/forged_headers.h"
#include "agent/proxy/http/characters.h"
#include "agent/proxy/loop.h"
#include "agent/proxy/mediation.h"
#include "agent/proxy/refusal.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::minutes kResponseTime{5};

// The part of the body that came with the head, so that a body whose beginning is badly framed is
// refused before an origin hears of the request.
Task<absl::StatusOr<std::string_view>> FirstPiece(ServerExchange& client) {
  if (client.body_complete() || !client.body().ReadyNow()) co_return std::string_view();
  co_return co_await client.body().Read();
}

struct Retry {};
// The origin agreed to a WebSocket; nothing has been answered yet.
struct Switched {
  Outcome outcome;
  ResponseHead answer;
};
using Sent = std::variant<Outcome, OriginFailure, Retry, Switched>;

// `failure` became known after the answer's head went out.
Outcome CutOff(const Exchange& exchange, OriginFailure failure, Outcome outcome) {
  outcome.decision = "error";
  outcome.reason = failure.reason;
  outcome.detail = std::move(failure.detail);
  exchange.client.http->Abort();
  return outcome;
}

// The answer's body, piece by piece; the head has been written.
Task<Outcome> StreamBack(const Exchange& exchange, BodyReader& body, const AbandonmentWatch& watch,
                         Mediation* mediation, Outcome outcome) {
  ServerExchange& client = *exchange.client.http;
  while (true) {
    // What is late must not hold back what is here.
    if (!body.ReadyNow()) (void)co_await client.Flush();
    absl::StatusOr<std::string_view> piece = co_await body.Read();
    if (!piece.ok()) {
      if (watch.abandoned()) {
        outcome.detail = "the container hung up before the end of the answer";
        co_return outcome;
      }
      std::optional<OriginFailure> failure;
      if (mediation != nullptr) failure = mediation->failure();
      if (!failure.has_value()) {
        const bool late = absl::IsDeadlineExceeded(piece.status());
        failure = OriginFailureOf(late ? "origin_timeout" : "origin_failed",
                                  std::string(piece.status().message()));
      }
      co_return CutOff(exchange, *std::move(failure), std::move(outcome));
    }
    const bool end = piece->empty();
    const absl::Status written =
        end ? co_await client.FinishBody(body.trailers())
            : co_await client.WriteBody(*piece, body.ReadyNow() ? More::kAtOnce : More::kUnknown);
    if (mediation != nullptr && absl::IsInvalidArgument(written)) {
      mediation->Fail(WrongLength());
      co_return CutOff(exchange, *mediation->failure(), std::move(outcome));
    }
    if (!written.ok()) {
      outcome.detail = "the container hung up before the end of the answer";
      exchange.client.http->Abort();
      co_return outcome;
    }
    if (end) co_return outcome;
  }
}

// The origin's answer; interim ones on the way are passed on.
Task<absl::StatusOr<ResponseHead>> ReadAnswer(ClientExchange& origin, ServerExchange& client) {
  while (true) {
    absl::StatusOr<ResponseHead> head = co_await origin.ReadHead(kResponseTime);
    if (!head.ok() || head->status >= 200 || head->status == 101) co_return head;
    RemoveHopByHop(&head->headers);
    // A container that has gone is noticed by the answer's write.
    (void)co_await client.WriteInterim(*head);
  }
}

// How the container's own body ended.
absl::Status ClientStatus(const Mediation* mediation, const BodyPump* pump) {
  if (mediation != nullptr && mediation->transforms_request()) return mediation->client_status();
  return pump != nullptr ? pump->client_status() : absl::OkStatus();
}

Task<Sent> SendOver(const Exchange& exchange, const OriginRequest& request,
                    OriginConnection& connection, std::string_view first, Mediation* mediation,
                    Outcome outcome) {
  ClientExchange& origin = *connection.http;
  ServerExchange& client = *exchange.client.http;
  RequestHead head;
  head.method = request.method;
  head.target = request.target;
  head.headers = request.headers;
  head.framing = request.framing;
  head.content_length = request.content_length;
  head.websocket = request.websocket;
  head.te_trailers = request.te_trailers;
  const std::string authority =
      Authority{request.host, request.port}.ToString(DefaultPort(request.scheme));

  const AbandonmentWatch watch(&client, [&origin, mediation] {
    origin.Abort();
    if (mediation != nullptr) mediation->Cancel();
  });
  const bool has_body = head.framing != BodyFraming::kNone;
  const bool may_retry = connection.reused && !has_body && IsIdempotent(request.method);
  absl::Status sent = co_await origin.WriteHead(head, authority);
  if (connection.reused && absl::IsUnavailable(sent)) co_return Retry{};
  std::shared_ptr<BodyPump> pump;
  const bool transformed = mediation != nullptr && mediation->transforms_request();
  if (sent.ok() && has_body && transformed) mediation->SendBodyTo(&origin);
  if (sent.ok() && has_body && !transformed)
    pump = BodyPump::ToOrigin(exchange.client, &origin, first);
  if (sent.ok() && !has_body) sent = co_await origin.FinishBody(Headers{});
  if (!sent.ok() && may_retry) co_return Retry{};
  if (watch.abandoned()) origin.Abort();

  absl::StatusOr<ResponseHead> answer = co_await ReadAnswer(origin, client);
  if (!answer.ok()) {
    std::optional<OriginFailure> handlers_failure;
    if (mediation != nullptr) handlers_failure = mediation->failure();
    if (pump != nullptr) co_await pump->Stop();
    if (mediation != nullptr) co_await mediation->LeaveOrigin();
    if (watch.abandoned()) {
      outcome.detail = "the container hung up before the answer";
      co_return outcome;
    }
    if (may_retry && absl::IsUnavailable(answer.status())) co_return Retry{};
    const absl::Status client_status = ClientStatus(mediation, pump.get());
    if (!client_status.ok()) co_return co_await RefuseBody(exchange, client_status);
    if (handlers_failure.has_value()) co_return *std::move(handlers_failure);
    if (absl::IsDeadlineExceeded(answer.status()))
      co_return OriginFailureOf("origin_timeout", "no answer in time");
    const bool broken =
        absl::IsInvalidArgument(answer.status()) || absl::IsDataLoss(answer.status());
    co_return OriginFailureOf(broken ? "origin_failed" : "origin_unreachable",
                              std::string(answer.status().message()));
  }
  outcome.status = answer->status;
  RemoveHopByHop(&answer->headers);
  if (answer->status == 101) co_return Switched{std::move(outcome), *std::move(answer)};
  BodyReader* body = &origin.body();
  if (mediation != nullptr && mediation->inspects()) {
    body = co_await mediation->PassAnswer(&origin, &*answer);
    if (body == nullptr) {
      std::optional<OriginFailure> failure = mediation->failure();
      if (pump != nullptr) co_await pump->Stop();
      co_await mediation->LeaveOrigin();
      if (watch.abandoned()) {
        outcome.detail = "the container hung up before the answer";
        co_return outcome;
      }
      const absl::Status client_status = ClientStatus(mediation, pump.get());
      if (!client_status.ok()) co_return co_await RefuseBody(exchange, client_status);
      co_return *std::move(failure);
    }
    outcome.status = answer->status;
  }
  // An answer before the request's end leaves the rest of the body unread: the connection cannot be
  // kept.
  const bool keep_alive = exchange.head.keep_alive && client.body_complete();
  const absl::Status written = co_await client.WriteHead(*answer, keep_alive);
  if (written.ok()) {
    outcome = co_await StreamBack(exchange, *body, watch, mediation, std::move(outcome));
  } else {
    outcome.detail = "the container hung up before the answer";
    exchange.client.http->Abort();
  }
  if (pump != nullptr) co_await pump->Stop();
  if (mediation != nullptr) co_await mediation->LeaveOrigin();
  co_return outcome;
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

OriginKey KeyOf(const OriginRequest& request) {
  OriginKey key{request.scheme == RequestScheme::kHttps, OriginHttp::kHttp1, request.host,
                request.port};
  if (key.tls) {
    key.http = OriginHttp::kByAlpn;
  } else if (NeedsHttp2(request)) {
    key.http = OriginHttp::kHttp2;
  }
  return key;
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
  const ContainerPtr& container = exchange.client.container;
  absl::StatusOr<std::string_view> first = "";
  if (mediation == nullptr || !mediation->transforms_request())
    first = co_await FirstPiece(*exchange.client.http);
  if (!first.ok()) co_return co_await RefuseBody(exchange, first.status());
  OriginKey key = KeyOf(request);
  std::unique_ptr<OriginConnection> connection;
  if (request.websocket) {
    connection = TakeForWebSocket(*container, key);
    key.http = OriginHttp::kHttp1;
  }
  // A WebSocket's HTTP/1 connection ends with it, and may not be one that is about to end.
  Pooled pooled = request.websocket ? Pooled::kUnwanted : Pooled::kWelcome;
  while (true) {
    if (connection == nullptr) {
      OriginConnected connected = co_await ConnectToOrigin(container, key, pooled);
      if (auto* denial = std::get_if<Denial>(&connected))
        co_return co_await RefuseToSend(exchange, request, std::move(*denial));
      if (auto* failure = std::get_if<OriginFailure>(&connected)) {
        co_return co_await AnswerFailure(exchange, failure->status, failure->reason,
                                         std::move(failure->detail));
      }
      connection = std::move(std::get<std::unique_ptr<OriginConnection>>(connected));
      // Asked twice at most.
      if (pooled == Pooled::kUnwanted) connection->reused = false;
    }
    Outcome outcome;
    outcome.decision = "egress";
    outcome.rule = rule;
    outcome.upstream = StrCat(connection->address.ToUriString(), ":", request.port);
    if (connection->would_deny.has_value()) {
      outcome.would_deny = ReasonName(*connection->would_deny);
    }
    Sent sent =
        co_await SendOver(exchange, request, *connection, *first, mediation, std::move(outcome));
    if (std::get_if<Retry>(&sent) != nullptr) {
      connection = nullptr;
      pooled = Pooled::kUnwanted;
      continue;
    }
    if (auto* failure = std::get_if<OriginFailure>(&sent)) {
      co_return co_await AnswerFailure(exchange, failure->status, failure->reason,
                                       std::move(failure->detail));
    }
    if (auto* switched = std::get_if<Switched>(&sent)) {
      co_return co_await Upgrade(exchange, request, std::move(connection), std::move(*switched));
    }
    if (connection->http->reusable() && !request.websocket && !container->closed()) {
      container->origins().http1.Put(key, std::move(connection));
    }
    co_return std::move(std::get<Outcome>(sent));
  }
}

}  // namespace sallyport::proxy
