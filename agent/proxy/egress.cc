#include "agent/proxy/egress.h"

#include <chrono>
#include <optional>
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
// Over as many connections.
constexpr int kMaxTimesSent = 3;

// The part of the body that came with the head, so that a body whose beginning is badly framed is
// refused before an origin hears of the request.
Task<absl::StatusOr<std::string_view>> FirstPiece(ServerExchange& client) {
  if (client.body_complete() || !client.body().ReadyNow()) co_return std::string_view();
  co_return co_await client.body().Read();
}

// The request is to be sent once more, over another connection.
struct Retry {
  bool over_http1 = false;  // The origin takes it over HTTP/1.1 only.
};
// The origin agreed to a WebSocket; nothing has been answered yet.
struct Switched {
  Outcome outcome;
  ResponseHead answer;
};
using Sent = std::variant<Retry, Outcome, OriginFailure, Denial, Switched>;

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
        client.Abort();
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
      client.Abort();
      co_return outcome;
    }
    if (end) co_return outcome;
  }
}

// The origin's answer; interim ones on the way are passed on, but for its wish to have the body:
// `pump` then asks the container for it, if nobody has.
Task<absl::StatusOr<ResponseHead>> ReadAnswer(ClientExchange& origin, ServerExchange& client,
                                              BodyPump* pump) {
  while (true) {
    absl::StatusOr<ResponseHead> head = co_await origin.ReadHead(kResponseTime);
    if (!head.ok() || head->status >= 200 || head->status == 101) co_return head;
    if (head->status == 100) {
      if (pump != nullptr) pump->GoOn();
      continue;
    }
    RemoveHopByHop(&head->headers);
    // A container that has gone is noticed by the answer's write.
    (void)co_await client.WriteInterim(*head);
  }
}

// Of a request without answer. A request that was certainly not processed may be sent again
// whatever it asks for, one that may have been only if twice is as good as once; each if no byte of
// its body has been taken.
std::optional<Retry> RetryAfter(const absl::Status& status, std::string_view method, bool reused,
                                BodyPump* pump) {
  const bool over_http1 = absl::IsFailedPrecondition(status);
  const bool unprocessed = over_http1 || absl::IsAborted(status);
  const bool harmless = reused && absl::IsUnavailable(status) && IsIdempotent(method);
  if (!unprocessed && !harmless) return std::nullopt;
  if (pump != nullptr && !pump->LetGo()) return std::nullopt;
  return Retry{over_http1};
}

OriginFailure FailureOf(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status))
    return OriginFailureOf("origin_timeout", "no answer in time");
  const bool broken = absl::IsInvalidArgument(status) || absl::IsDataLoss(status);
  return OriginFailureOf(broken ? "origin_failed" : "origin_unreachable",
                         std::string(status.message()));
}

RequestHead HeadOf(const OriginRequest& request) {
  RequestHead head;
  head.method = request.method;
  head.target = request.target;
  head.headers = request.headers;
  head.framing = request.framing;
  head.content_length = request.content_length;
  head.websocket = request.websocket;
  head.te_trailers = request.te_trailers;
  return head;
}

// How the container's own body ended, if it goes to a handler.
absl::Status ClientStatus(const Mediation* mediation) {
  const bool transformed = mediation != nullptr && mediation->transforms_request();
  return transformed ? mediation->client_status() : absl::OkStatus();
}

// The container waits to be asked for its body, and neither it nor we have begun with it.
bool ContainerWaits(const Exchange& exchange) {
  ServerExchange& client = *exchange.client.http;
  return exchange.head.expect_continue && !client.body_complete() && !client.body().ReadyNow();
}

// `pump`: null the first time, and taken over from an attempt that ended in a Retry.
Task<Sent> SendOver(const Exchange& exchange, const OriginRequest& request,
                    OriginConnection& connection, std::string_view first, Mediation* mediation,
                    std::shared_ptr<BodyPump>* shared_pump, Outcome outcome) {
  ClientExchange& origin = *connection.http;
  ServerExchange& client = *exchange.client.http;
  std::shared_ptr<BodyPump>& pump = *shared_pump;
  RequestHead head = HeadOf(request);
  const bool has_body = head.framing != BodyFraming::kNone;
  const bool transformed = mediation != nullptr && mediation->transforms_request();
  if (!transformed) {
    head.expect_continue =
        pump != nullptr ? pump->unasked() : first.empty() && ContainerWaits(exchange);
  }
  const std::string authority =
      Authority{request.host, request.port}.ToString(DefaultPort(request.scheme));

  const AbandonmentWatch watch(&client, [&origin, mediation] {
    origin.Abort();
    if (mediation != nullptr) mediation->Cancel();
  });
  absl::Status sent = co_await origin.WriteHead(head, authority);
  if (connection.reused && absl::IsUnavailable(sent)) co_return Retry{};
  if (sent.ok() && has_body && transformed) {
    mediation->SendBodyTo(&origin);
  } else if (sent.ok() && pump != nullptr) {
    pump->UseOrigin(&origin);
  } else if (sent.ok() && has_body) {
    pump = BodyPump::ToOrigin(
        exchange.client, &origin, first,
        head.expect_continue ? BodyPump::Begin::kWhenAsked : BodyPump::Begin::kNow,
        request.withheld_trailers);
  } else if (sent.ok()) {
    sent = co_await origin.FinishBody(Headers{});
  }
  if (watch.abandoned()) origin.Abort();

  absl::StatusOr<ResponseHead> answer = co_await ReadAnswer(origin, client, pump.get());
  if (!answer.ok()) {
    std::optional<OriginFailure> handlers_failure;
    if (mediation != nullptr) {
      handlers_failure = mediation->failure();
      co_await mediation->LeaveOrigin();
    }
    if (watch.abandoned()) {
      outcome.detail = "the container hung up before the answer";
      co_return outcome;
    }
    std::optional<Retry> retry;
    if (!transformed || !has_body)
      retry = RetryAfter(answer.status(), request.method, connection.reused, pump.get());
    if (retry.has_value()) co_return *retry;
    const absl::Status client_status = ClientStatus(mediation);
    if (!client_status.ok()) co_return co_await RefuseBody(exchange, client_status);
    if (handlers_failure.has_value()) co_return *std::move(handlers_failure);
    co_return FailureOf(answer.status());
  }
  outcome.status = answer->status;
  RemoveHopByHop(&answer->headers);
  if (answer->status == 101) co_return Switched{std::move(outcome), *std::move(answer)};
  // An answer to a request whose body is not wanted: the container is not asked for it any more.
  if (pump != nullptr && pump->unasked()) co_await pump->Stop();
  BodyReader* body = &origin.body();
  if (mediation != nullptr && mediation->inspects()) {
    body = co_await mediation->PassAnswer(&origin, &*answer);
    if (body == nullptr) {
      std::optional<OriginFailure> failure = mediation->failure();
      co_await mediation->LeaveOrigin();
      if (watch.abandoned()) {
        outcome.detail = "the container hung up before the answer";
        co_return outcome;
      }
      const absl::Status client_status = ClientStatus(mediation);
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
    client.Abort();
  }
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

OriginKey KeyOf(Container& container, const OriginRequest& request) {
  OriginKey key{request.scheme == RequestScheme::kHttps, OriginHttp::kHttp1, request.host,
                request.port};
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
  if (mediation == nullptr || !mediation->transforms_request())
    first = co_await FirstPiece(*exchange.client.http);
  if (!first.ok()) co_return co_await RefuseBody(exchange, first.status());
  OriginKey key = KeyOf(container, request);
  std::unique_ptr<OriginConnection> connection;
  if (request.websocket) {
    connection = TakeForWebSocket(container, key);
    key.http = OriginHttp::kHttp1;
  }
  // A WebSocket's HTTP/1 connection ends with it, and may not be one that is about to end.
  Pooled pooled = request.websocket ? Pooled::kUnwanted : Pooled::kWelcome;
  std::shared_ptr<BodyPump> pump;
  Sent sent;
  for (int times = 1; times <= kMaxTimesSent; ++times) {
    if (connection == nullptr) {
      OriginConnected connected = co_await ConnectToOrigin(exchange.client.container, key, pooled);
      if (auto* denial = std::get_if<Denial>(&connected)) {
        sent = std::move(*denial);
        break;
      }
      if (auto* failure = std::get_if<OriginFailure>(&connected)) {
        sent = std::move(*failure);
        break;
      }
      connection = std::move(std::get<std::unique_ptr<OriginConnection>>(connected));
      if (pooled == Pooled::kUnwanted) connection->reused = false;
    }
    Outcome outcome;
    outcome.decision = "egress";
    outcome.rule = rule;
    outcome.upstream = StrCat(connection->address.ToUriString(), ":", request.port);
    if (connection->would_deny.has_value()) {
      outcome.would_deny = ReasonName(*connection->would_deny);
    }
    sent = co_await SendOver(exchange, request, *connection, *first, mediation, &pump,
                             std::move(outcome));
    const auto* retry = std::get_if<Retry>(&sent);
    if (retry == nullptr) break;
    if (retry->over_http1) RequireHttp1(container, &key);
    connection = nullptr;
    pooled = Pooled::kUnwanted;
  }
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
  if (std::get_if<Retry>(&sent) != nullptr)
    sent = OriginFailureOf("origin_unreachable", "the origin refuses the request's streams");
  if (auto* failure = std::get_if<OriginFailure>(&sent)) {
    co_return co_await AnswerFailure(exchange, failure->status, failure->reason,
                                     std::move(failure->detail));
  }
  if (auto* switched = std::get_if<Switched>(&sent))
    co_return co_await Upgrade(exchange, request, std::move(connection), std::move(*switched));
  if (connection->http->reusable() && !request.websocket && !container.closed())
    container.origins().http1.Put(key, std::move(connection));
  co_return std::move(std::get<Outcome>(sent));
}

}  // namespace sallyport::proxy
