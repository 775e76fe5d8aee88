#include "agent/proxy/egress.h"

#include <chrono>
#include <utility>

#include "agent/proxy/body_pump.h"
#include "agent/proxy/forged_headers.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/refusal.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kConnectTime{10};
constexpr std::chrono::minutes kResponseTime{5};

using Clock = std::chrono::steady_clock;

struct Failure {
  int status = 502;
  std::string_view reason;
  std::string detail;
};
using Connected = std::variant<std::unique_ptr<OriginConnection>, Denial, Failure>;

Failure FailureOf(std::string_view reason, std::string detail) {
  return Failure{reason == "origin_timeout" ? 504 : 502, reason, std::move(detail)};
}

Task<Connected> Connect(const Exchange& exchange, const OriginRequest& request) {
  Container& container = *exchange.client.container;
  const SteadyTime deadline = Clock::now() + kConnectTime;
  DialResult dialled = co_await Dial(container.dial_context(), container.policy_source(),
                                     request.host, request.port, deadline);
  if (auto* denial = std::get_if<Denial>(&dialled)) co_return std::move(*denial);
  if (auto* failed = std::get_if<DialFailed>(&dialled))
    co_return FailureOf(failed->reason, std::move(failed->detail));
  auto& reached = std::get<Dialled>(dialled);
  std::unique_ptr<Stream> stream;
  if (request.scheme == RequestScheme::kHttps) {
    reached.stream->SetDeadline(deadline);
    absl::StatusOr<std::unique_ptr<Stream>> secured =
        co_await container.upstream_tls().Connect(std::move(reached.stream), request.host);
    if (absl::IsUnauthenticated(secured.status())) {
      co_return FailureOf("origin_certificate", std::string(secured.status().message()));
    }
    if (absl::IsDeadlineExceeded(secured.status()))
      co_return FailureOf("origin_timeout", "the TLS handshake took too long");
    if (!secured.ok())
      co_return FailureOf("origin_unreachable", std::string(secured.status().message()));
    stream = *std::move(secured);
  } else {
    stream = std::move(reached.stream);
  }
  auto connection = std::make_unique<OriginConnection>();
  connection->http =
      std::make_unique<H1ClientConnection>(std::move(stream), H1Limits{}, H1Timeouts{});
  connection->address = reached.address;
  connection->would_deny = reached.would_deny;
  co_return connection;
}

// A pooled connection whose address the policy in force still permits, or null.
std::unique_ptr<OriginConnection> TakePooled(const Exchange& exchange, const OriginKey& key) {
  Container& container = *exchange.client.container;
  while (std::unique_ptr<OriginConnection> pooled = container.origins().Take(key)) {
    const std::shared_ptr<const EffectivePolicy> now = container.policy();
    if (now == nullptr) continue;
    const AddressVerdict verdict =
        CheckDialledAddress(*now, pooled->address, *container.dial_context().open_ranges);
    if (const MayDial* may_dial = std::get_if<MayDial>(&verdict)) {
      pooled->would_deny = may_dial->would_deny;
      return pooled;
    }
  }
  return nullptr;
}

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
using Sent = std::variant<Outcome, Failure, Retry, Switched>;

// The answer's body, piece by piece; the head has been written.
Task<Outcome> StreamBack(const Exchange& exchange, ClientExchange& origin,
                         const AbandonmentWatch& watch, Outcome outcome) {
  ServerExchange& client = *exchange.client.http;
  while (true) {
    // What is late must not hold back what is here.
    if (!origin.body().ReadyNow()) (void)co_await client.Flush();
    absl::StatusOr<std::string_view> piece = co_await origin.body().Read();
    if (!piece.ok()) {
      if (watch.abandoned()) {
        outcome.detail = "the container hung up before the end of the answer";
        co_return outcome;
      }
      outcome.decision = "error";
      outcome.reason =
          absl::IsDeadlineExceeded(piece.status()) ? "origin_timeout" : "origin_failed";
      outcome.detail = std::string(piece.status().message());
      exchange.client.http->Abort();
      co_return outcome;
    }
    const bool end = piece->empty();
    const absl::Status written =
        end ? co_await client.FinishBody(origin.body().trailers())
            : co_await client.WriteBody(*piece,
                                        origin.body().ReadyNow() ? More::kAtOnce : More::kUnknown);
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

Task<Sent> SendOver(const Exchange& exchange, const OriginRequest& request,
                    OriginConnection& connection, std::string_view first, Outcome outcome) {
  ClientExchange& origin = *connection.http;
  ServerExchange& client = *exchange.client.http;
  RequestHead head;
  head.method = request.method;
  head.target = request.target;
  head.headers = request.headers;
  head.framing = exchange.head.framing;
  head.content_length = exchange.head.content_length;
  head.websocket = request.websocket;
  head.te_trailers = exchange.head.te_trailers;
  const std::string authority =
      Authority{request.host, request.port}.ToString(DefaultPort(request.scheme));

  const AbandonmentWatch watch(&client, [&origin] { origin.Abort(); });
  const bool has_body = head.framing != BodyFraming::kNone;
  const bool may_retry = connection.reused && !has_body;
  absl::Status sent = co_await origin.WriteHead(head, authority);
  std::shared_ptr<BodyPump> pump;
  if (sent.ok() && has_body) pump = BodyPump::ToOrigin(exchange.client, &origin, first);
  if (sent.ok() && !has_body) sent = co_await origin.FinishBody(Headers{});
  if (!sent.ok() && may_retry) co_return Retry{};

  absl::StatusOr<ResponseHead> answer = co_await ReadAnswer(origin, client);
  if (!answer.ok()) {
    if (pump != nullptr) co_await pump->Stop();
    if (watch.abandoned()) {
      outcome.detail = "the container hung up before the answer";
      co_return outcome;
    }
    if (may_retry && absl::IsUnavailable(answer.status())) co_return Retry{};
    if (pump != nullptr && !pump->client_status().ok()) {
      co_return co_await RefuseBody(exchange, pump->client_status());
    }
    if (absl::IsDeadlineExceeded(answer.status()))
      co_return FailureOf("origin_timeout", "no answer in time");
    const bool broken =
        absl::IsInvalidArgument(answer.status()) || absl::IsDataLoss(answer.status());
    co_return FailureOf(broken ? "origin_failed" : "origin_unreachable",
                        std::string(answer.status().message()));
  }
  outcome.status = answer->status;
  RemoveHopByHop(&answer->headers);
  if (answer->status == 101) co_return Switched{std::move(outcome), *std::move(answer)};
  // An answer before the request's end leaves the rest of the body unread: the connection cannot be
  // kept.
  const bool keep_alive = exchange.head.keep_alive && client.body_complete();
  const absl::Status written = co_await client.WriteHead(*answer, keep_alive);
  if (written.ok()) {
    outcome = co_await StreamBack(exchange, origin, watch, std::move(outcome));
  } else {
    outcome.detail = "the container hung up before the answer";
    exchange.client.http->Abort();
  }
  if (pump != nullptr) co_await pump->Stop();
  co_return outcome;
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
  request.websocket = exchange.head.websocket;
  return request;
}

Task<Outcome> SendToOrigin(const Exchange& exchange, OriginRequest request, std::string rule) {
  const absl::StatusOr<std::string_view> first = co_await FirstPiece(*exchange.client.http);
  if (!first.ok()) co_return co_await RefuseBody(exchange, first.status());
  const OriginKey key{request.scheme == RequestScheme::kHttps, request.host, request.port};
  std::unique_ptr<OriginConnection> connection;
  if (!request.websocket) connection = TakePooled(exchange, key);
  while (true) {
    if (connection == nullptr) {
      Connected connected = co_await Connect(exchange, request);
      if (auto* denial = std::get_if<Denial>(&connected))
        co_return co_await RefuseByPolicy(exchange, std::move(*denial));
      if (auto* failure = std::get_if<Failure>(&connected)) {
        co_return co_await AnswerFailure(exchange, failure->status, failure->reason,
                                         std::move(failure->detail));
      }
      connection = std::move(std::get<std::unique_ptr<OriginConnection>>(connected));
    }
    Outcome outcome;
    outcome.decision = "egress";
    outcome.rule = rule;
    outcome.upstream = StrCat(connection->address.ToUriString(), ":", request.port);
    if (connection->would_deny.has_value()) {
      outcome.would_deny = ReasonName(*connection->would_deny);
    }
    Sent sent = co_await SendOver(exchange, request, *connection, *first, std::move(outcome));
    if (std::get_if<Retry>(&sent) != nullptr) {
      connection = nullptr;
      continue;
    }
    if (auto* failure = std::get_if<Failure>(&sent)) {
      co_return co_await AnswerFailure(exchange, failure->status, failure->reason,
                                       std::move(failure->detail));
    }
    if (auto* switched = std::get_if<Switched>(&sent)) {
      co_return co_await Upgrade(exchange, request, std::move(connection), std::move(*switched));
    }
    if (connection->http->reusable() && !request.websocket &&
        !exchange.client.container->closed()) {
      exchange.client.container->origins().Put(key, std::move(connection));
    }
    co_return std::move(std::get<Outcome>(sent));
  }
}

}  // namespace sallyport::proxy
