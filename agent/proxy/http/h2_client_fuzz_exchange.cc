#include "agent/proxy/http/h2_client_fuzz_exchange.h"

#include <array>

#include "agent/proxy/http/client_request.h"
#include "common/base/check.h"

namespace sallyport::proxy {
namespace {

Task<void> WriteTunnel(FuzzExchange* exchange) {
  exchange->given = "ping";
  const std::array<std::string_view, 1> pieces = {exchange->given};
  const absl::Status written = co_await exchange->http->tunnel().Write(pieces);
  exchange->given_all = written.ok();
  if (written.ok()) (co_await exchange->http->tunnel().ShutdownWrite()).IgnoreError();
  --exchange->running;
}

void Understand(const Headers& fields, FuzzExchange* exchange) {
  const H2Limits limits = SmallLimits();
  size_t bytes = 0;
  for (const Header& field : fields.fields()) {
    bytes += field.name.size() + field.value.size();
    SALLYPORT_CHECK(IsLegalHeader(field.name, field.value));
    exchange->understood += "\n" + field.name + ":" + field.value;
  }
  SALLYPORT_CHECK(fields.fields().size() <= limits.field_count && bytes <= limits.head_bytes);
}

// Beyond its end, or where it failed, there is nothing more.
Task<void> ReadBody(const ResponseHead head, FuzzExchange* exchange) {
  BodyReader& reader = exchange->http->body();
  while (true) {
    exchange->must_not_wait = reader.ReadyNow();
    const absl::StatusOr<std::string_view> piece = co_await reader.Read();
    exchange->must_not_wait = false;
    exchange->whole = piece.ok() && piece->empty();
    if (!piece.ok() || piece->empty()) break;
    exchange->body += *piece;
  }
  if (head.framing == BodyFraming::kNone) SALLYPORT_CHECK(exchange->body.empty());
  if (head.framing == BodyFraming::kLength) {
    SALLYPORT_CHECK(exchange->body.size() <= head.content_length);
    SALLYPORT_CHECK(!exchange->whole || exchange->body.size() == head.content_length);
  }
  exchange->must_not_wait = true;
  const absl::StatusOr<std::string_view> more = co_await reader.Read();
  exchange->must_not_wait = false;
  SALLYPORT_CHECK(more.ok() == exchange->whole);
  SALLYPORT_CHECK(!more.ok() || more->empty());
  if (exchange->whole) Understand(reader.trailers(), exchange);
}

Task<void> ReadTunnel(FuzzExchange* exchange) {
  std::array<char, 64> buffer;
  while (true) {
    const absl::StatusOr<size_t> count = co_await exchange->http->tunnel().Read(buffer);
    exchange->whole = count.ok() && *count == 0;
    if (!count.ok() || *count == 0) break;
    exchange->body.append(buffer.data(), *count);
  }
}

bool IsFailure(const absl::Status& status, int interim_heads) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kCancelled:
      return true;
    case absl::StatusCode::kUnavailable:
      return interim_heads == 0;
    default:
      return false;
  }
}

}  // namespace

// So small that an input reaches them.
H2Limits SmallLimits() {
  H2Limits limits;
  limits.streams = 4;
  limits.stream_window = 256;
  limits.connection_window = 1024;
  limits.max_stream_window = 1024;
  limits.unread_bytes = 512;
  limits.head_bytes = 512;
  limits.field_count = 8;
  limits.trailer_bytes = 128;
  limits.continuations = 2;
  limits.resets = 4;
  limits.idle_frames = 16;
  return limits;
}

Task<void> SendBody(FuzzExchange* exchange) {
  ClientExchange& http = *exchange->http;
  const std::string_view piece = FuzzExchange::kPiece;
  exchange->given += piece;
  absl::Status written = co_await http.WriteBody(piece, More::kAtOnce);
  if (written.ok()) {
    exchange->given += piece;
    written = co_await http.WriteBody(piece);
  }
  if (written.ok()) {
    exchange->given_all = true;
    Headers trailers;
    trailers.Add("checksum", "1");
    written = co_await http.FinishBody(trailers);
  }
  --exchange->running;
}

Task<void> ReadAnswer(boost::asio::io_context* context, FuzzExchange* exchange) {
  if (exchange->act == Act::kLateGet)
    (co_await exchange->may_read.Wait(SteadyTime::max())).IgnoreError();
  ClientExchange& http = *exchange->http;
  int interim_heads = 0;
  bool answered = false;
  while (!answered) {
    const absl::StatusOr<ResponseHead> head = co_await http.ReadHead(kLong);
    if (!head.ok()) {
      SALLYPORT_CHECK(IsFailure(head.status(), interim_heads));
      break;
    }
    exchange->understood += std::to_string(head->status);
    Understand(head->headers, exchange);
    SALLYPORT_CHECK(head->status >= 100 && head->status < 600);
    SALLYPORT_CHECK(head->status != 100 || exchange->request.expect_continue);
    SALLYPORT_CHECK((head->status == 101) == head->websocket);
    SALLYPORT_CHECK(!head->websocket || exchange->request.websocket);
    answered = head->status >= 200 || head->websocket;
    if (head->websocket) {
      ++exchange->running;
      Spawn(*context, WriteTunnel(exchange));
      co_await ReadTunnel(exchange);
    } else if (answered) {
      co_await ReadBody(*head, exchange);
    } else {
      SALLYPORT_CHECK(++interim_heads <= kMaxInterimHeads);
      if (head->status != 100 || !exchange->given.empty()) continue;
      ++exchange->running;
      Spawn(*context, SendBody(exchange));
    }
  }
  exchange->must_not_wait = true;
  SALLYPORT_CHECK(!(co_await http.ReadHead(kLong)).ok());
  exchange->must_not_wait = false;
  --exchange->running;
}

}  // namespace sallyport::proxy
