#include "agent/proxy/handler_response.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "agent/proxy/forward_changes.h"
#include "agent/proxy/handlers/lease_table.h"

namespace sallyport::proxy {
namespace {

// A client that still waits for "100 Continue" is not asked for a body that nobody wants.
bool MayKeepAlive(const Exchange& exchange) {
  return exchange.head.keep_alive &&
         (exchange.client.http->body_complete() || !exchange.head.expect_continue);
}

std::optional<uint64_t> DeclaredLength(const Respond& answer) {
  const std::string* length = answer.headers.Find("content-length");
  uint64_t declared = 0;
  if (length == nullptr || !absl::SimpleAtoi(*length, &declared)) return std::nullopt;
  return declared;
}

}  // namespace

bool IsBodiless(const Exchange& exchange, int status) {
  return exchange.head.method == "HEAD" || status == 204 || status == 304;
}

Task<absl::StatusOr<WholeBody>> ReadWhole(BodyReader& body, size_t limit,
                                          std::string_view too_long) {
  WholeBody whole;
  while (true) {
    const absl::StatusOr<std::string_view> piece = co_await body.Read();
    if (!piece.ok()) co_return piece.status();
    if (piece->empty()) break;
    if (piece->size() > limit - whole.bytes.size())
      co_return absl::InvalidArgumentError(absl::string_view(too_long.data(), too_long.size()));
    whole.bytes.append(*piece);
  }
  whole.trailers = body.trailers();
  co_return whole;
}

bool HasDeclaredBody(const Exchange& exchange, const Respond& answer) {
  const ServerExchange& client = *exchange.client.http;
  return client.response_begun() && DeclaredLength(answer) == client.body_bytes_sent();
}

Task<absl::StatusOr<WholeBody>> ReadLeased(const Exchange& exchange, const Respond& answer,
                                           BodyReader& body) {
  if (IsBodiless(exchange, answer.status)) {
    const absl::Status none = co_await ReadNoBody(body);
    if (!none.ok()) co_return none;
    co_return WholeBody();
  }
  absl::StatusOr<WholeBody> whole = co_await ReadWhole(
      body, LeaseTable::kMaxResponseBytes, "the handler leases a response of more than 64 KiB");
  if (whole.ok() && DeclaredLength(answer).value_or(whole->bytes.size()) != whole->bytes.size())
    co_return absl::InvalidArgumentError(WrongLength().detail);
  co_return whole;
}

Task<absl::Status> ReadNoBody(BodyReader& body) {
  const absl::StatusOr<WholeBody> whole = co_await ReadWhole(
      body, 0, "the handler sends a body where there is none (HEAD, 204 or 304)");
  co_return whole.status();
}

Task<std::optional<HandlerFailure>> StreamResponse(const Exchange& exchange, const Respond& answer,
                                                   BodyReader& body) {
  ServerExchange& client = *exchange.client.http;
  if (IsBodiless(exchange, answer.status)) {
    // Before the head: what is wrong can still be told.
    const absl::Status none = co_await ReadNoBody(body);
    if (!none.ok()) co_return HandlerFailureOf(none);
  }
  ResponseHead head;
  head.status = answer.status;
  head.headers = answer.headers;
  const absl::Status framed = SetFraming(&head);
  if (!framed.ok()) co_return HandlerFailureOf(framed);
  absl::Status written = co_await client.WriteHead(head, MayKeepAlive(exchange));
  while (written.ok()) {
    if (!body.ReadyNow()) written = co_await client.Flush();
    const absl::StatusOr<std::string_view> piece = co_await body.Read();
    if (!piece.ok()) co_return HandlerFailureOf(piece.status());
    if (piece->empty()) {
      written = co_await client.FinishBody(body.trailers());
      if (written.ok()) co_return std::nullopt;
    } else {
      written = co_await client.WriteBody(*piece);
    }
  }
  if (absl::IsInvalidArgument(written)) co_return WrongLength();
  client.Abort();
  co_return std::nullopt;
}

Task<void> WriteWhole(const Exchange& exchange, const Respond& answer, const WholeBody& body) {
  ServerExchange& client = *exchange.client.http;
  ResponseHead head;
  head.status = answer.status;
  head.headers = answer.headers;
  // A declared length without a body is that of the body that GET would have.
  const absl::Status framed = SetFraming(&head);
  if (framed.ok() && (body.trailers.empty() || IsBodiless(exchange, head.status)) &&
      !(body.bytes.empty() && head.framing == BodyFraming::kLength)) {
    // A container that has gone is noticed by whoever serves its next request.
    (void)co_await client.WriteResponse(head, body.bytes, MayKeepAlive(exchange));
    co_return;
  }
  absl::Status written = framed;
  if (written.ok()) written = co_await client.WriteHead(head, MayKeepAlive(exchange));
  if (written.ok() && !body.bytes.empty()) written = co_await client.WriteBody(body.bytes);
  if (written.ok()) written = co_await client.FinishBody(body.trailers);
  if (!written.ok()) client.Abort();
}

}  // namespace sallyport::proxy
