// An origin that sends these bytes, at once and in segments whose size the first byte tells. The
// next ones say what is asked, one after the other, for as long as the connection is kept. Of the
// rest, what follows a kPause comes when the client waits for more. Each exchange ends once the
// origin has; the segments make no difference, and an exchange over a kept connection is understood
// as if it were the first.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/http/client_request.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/base/check.h"

using namespace sallyport::proxy;

namespace {

constexpr char kPause = '\x1e';
constexpr size_t kRequests = 4;
constexpr std::chrono::hours kLong{1};
constexpr std::string_view kBody = "body";

enum class Kind : uint8_t {
  kGet,
  kHead,
  kPut,
  kAskingPut,    // Sends its body if 100 comes before the answer.
  kAwaitingPut,  // Calls AwaitContinue, and sends its body whatever that says.
  kWebSocket,
  kUnread,   // Leaves the body of the answer alone.
  kGivenUp,  // Within the answer.
};
constexpr uint8_t kKinds = 8;

RequestHead RequestOf(Kind kind) {
  RequestHead head;
  head.target = "/t";
  head.method = kind == Kind::kHead ? "HEAD" : "GET";
  head.websocket = kind == Kind::kWebSocket;
  if (kind == Kind::kPut || kind == Kind::kAskingPut || kind == Kind::kAwaitingPut) {
    head.method = "PUT";
    head.expect_continue = kind != Kind::kPut;
    head.framing = kind == Kind::kAskingPut ? BodyFraming::kChunked : BodyFraming::kLength;
    head.content_length = kBody.size();
  }
  return head;
}

struct Exchange {
  Exchange(H1ClientConnection* http, Kind kind)
      : http(*http), kind(kind), request(RequestOf(kind)) {}

  H1ClientConnection& http;
  const Kind kind;
  const RequestHead request;
  size_t first_part = 0;   // That came within it.
  std::string received;    // So far.
  std::string understood;  // As text.
  bool body_is_sent = false;
  bool must_not_wait = false;  // What it awaits is there already.
  bool ended = false;
};

Task<void> SendBody(Exchange* exchange) {
  if (exchange->request.framing == BodyFraming::kNone || exchange->body_is_sent) co_return;
  exchange->body_is_sent = true;
  SALLYPORT_CHECK((co_await exchange->http.WriteBody(kBody)).ok());
  SALLYPORT_CHECK((co_await exchange->http.FinishBody(Headers())).ok());
}

void Understand(const ResponseHead& head, Exchange* exchange) {
  exchange->understood += std::to_string(head.status) + " " + head.reason;
  for (const Header& field : head.headers.fields())
    exchange->understood += "\n" + field.name + ":" + field.value;
  exchange->understood += "\n\n";
}

// The last head; nullopt: there is none.
Task<std::optional<ResponseHead>> ReadHeads(Exchange* exchange) {
  const RequestHead& request = exchange->request;
  int interim_heads = 0;
  while (true) {
    const absl::StatusOr<ResponseHead> head = co_await exchange->http.ReadHead(kLong);
    if (!head.ok()) {
      const bool nothing_came = absl::IsUnavailable(head.status());
      // One that breaks off is not looked at again: whether it was broken before is not known.
      const bool broken = absl::IsInvalidArgument(head.status()) || absl::IsDataLoss(head.status());
      SALLYPORT_CHECK(nothing_came != broken);
      SALLYPORT_CHECK(!nothing_came || exchange->received.empty());
      exchange->understood += broken ? "broken" : "nothing";
      co_return std::nullopt;
    }
    SALLYPORT_CHECK(head->status >= 100 && head->status < 600);
    SALLYPORT_CHECK(head->status != 100 || request.expect_continue);
    SALLYPORT_CHECK(head->status != 101 || (request.websocket && head->websocket));
    const bool last = head->status >= 200 || head->status == 101;
    // How many of them are waited for with the 100 is a matter of time.
    if (last || exchange->kind != Kind::kAwaitingPut) Understand(*head, exchange);
    if (last) co_return *head;
    SALLYPORT_CHECK(head->framing == BodyFraming::kNone);
    SALLYPORT_CHECK(++interim_heads <= kMaxInterimHeads);
    if (head->status == 100) co_await SendBody(exchange);
  }
}

// Whether it is whole.
Task<bool> ReadBody(const ResponseHead& head, Exchange* exchange) {
  BodyReader& reader = exchange->http.body();
  std::string body;
  while (true) {
    exchange->must_not_wait = reader.ReadyNow();
    const absl::StatusOr<std::string_view> piece = co_await reader.Read();
    exchange->must_not_wait = false;
    if (!piece.ok()) {
      SALLYPORT_CHECK(absl::IsInvalidArgument(piece.status()) || absl::IsDataLoss(piece.status()));
      SALLYPORT_CHECK(head.framing != BodyFraming::kLength || body.size() < head.content_length);
      exchange->understood += body + "!" + absl::StatusCodeToString(piece.status().code());
      co_return false;
    }
    if (piece->empty()) break;
    body += *piece;
    SALLYPORT_CHECK(body.size() <= exchange->received.size());
  }
  if (head.framing == BodyFraming::kNone) SALLYPORT_CHECK(body.empty());
  if (head.framing == BodyFraming::kLength) SALLYPORT_CHECK(body.size() == head.content_length);
  if (head.framing == BodyFraming::kUntilClose) SALLYPORT_CHECK(exchange->received.ends_with(body));
  const absl::StatusOr<std::string_view> more = co_await reader.Read();
  SALLYPORT_CHECK(more.ok() && more->empty());
  exchange->understood += body;
  for (const Header& field : reader.trailers().fields())
    exchange->understood += "\n" + field.name + ":" + field.value;
  co_return true;
}

// Everything behind the 101, and nothing else.
Task<void> ReadTunnel(Exchange* exchange) {
  std::string bytes = exchange->http.TakeBuffered();
  std::array<char, 64> buffer;
  while (true) {
    const absl::StatusOr<size_t> count = co_await exchange->http.tunnel().Read(buffer);
    SALLYPORT_CHECK(count.ok());
    if (*count == 0) break;
    bytes.append(buffer.data(), *count);
  }
  SALLYPORT_CHECK(exchange->received.ends_with("\r\n" + bytes));
  exchange->understood += bytes;
}

Task<void> ReadAnswer(Exchange* exchange) {
  H1ClientConnection& http = exchange->http;
  const std::optional<ResponseHead> head = co_await ReadHeads(exchange);
  if (!head.has_value()) {
    SALLYPORT_CHECK(!http.reusable());
  } else if (head->status == 101) {
    co_await ReadTunnel(exchange);
    SALLYPORT_CHECK(!http.reusable());
  } else if (exchange->kind == Kind::kUnread) {
    const bool has_body = head->framing != BodyFraming::kNone &&
                          (head->framing != BodyFraming::kLength || head->content_length > 0);
    SALLYPORT_CHECK(!has_body || !http.reusable());
  } else if (exchange->kind == Kind::kGivenUp) {
    http.Abort();
    SALLYPORT_CHECK(!http.StillIdle());
  } else {
    const bool whole = co_await ReadBody(*head, exchange);
    const bool request_is_whole =
        exchange->body_is_sent || exchange->request.framing == BodyFraming::kNone;
    if (!whole || !request_is_whole || !head->keep_alive) SALLYPORT_CHECK(!http.reusable());
  }
  if (head.has_value()) SALLYPORT_CHECK(!(co_await http.ReadHead(kLong)).ok());
}

Task<void> Ask(Exchange* exchange) {
  H1ClientConnection& http = exchange->http;
  SALLYPORT_CHECK((co_await http.WriteHead(exchange->request, "a.test")).ok());
  if (exchange->kind == Kind::kAwaitingPut) {
    const H1ClientConnection::Continue wanted = co_await http.AwaitContinue(kLong);
    SALLYPORT_CHECK(wanted != H1ClientConnection::Continue::kSilence);
  }
  if (exchange->kind == Kind::kAskingPut) {
    SALLYPORT_CHECK((co_await http.Flush()).ok());
  } else {
    co_await SendBody(exchange);
    if (exchange->request.framing == BodyFraming::kNone)
      SALLYPORT_CHECK((co_await http.FinishBody(Headers())).ok());
  }
  co_await ReadAnswer(exchange);
  exchange->ended = true;
}

// All of `kinds` that the connection takes.
std::vector<Exchange> AskAll(std::span<const std::string_view> parts, std::string_view kinds,
                             size_t segment) {
  boost::asio::io_context context(1);
  auto [owned, origin] = MemoryStream::MakePair(context);
  MemoryStream* const stream = owned.get();
  stream->set_faults({.max_read = segment, .capacity = 16 * 1024 * 1024});
  H1ClientConnection http(std::move(owned), H1Limits{}, H1Timeouts{.body = kLong});
  std::vector<Exchange> exchanges;
  exchanges.reserve(kinds.size());
  size_t next_part = 0;
  bool origin_ended = false;
  for (const char kind : kinds) {
    Exchange& exchange =
        exchanges.emplace_back(&http, static_cast<Kind>(static_cast<uint8_t>(kind) % kKinds));
    exchange.first_part = next_part;
    const size_t written_before = stream->written().size();
    Spawn(context, Ask(&exchange));
    RunReady(context);
    while (!exchange.ended) {
      SALLYPORT_CHECK(!exchange.must_not_wait && !origin_ended);
      if (next_part < parts.size()) {
        exchange.received += parts[next_part];
        stream->Receive(parts[next_part++]);
      } else {
        origin_ended = true;
        stream->ReceiveEnd();
      }
      RunReady(context);
    }
    exchange.understood += "\n" + stream->written().substr(written_before);
    if (!http.StillIdle()) break;
  }
  if (!http.reusable())
    SALLYPORT_CHECK(!RunTask(context, http.WriteHead(RequestOf(Kind::kGet), "a.test")).ok());
  return exchanges;
}

std::vector<std::string_view> Split(std::string_view bytes) {
  std::vector<std::string_view> parts;
  size_t pause = bytes.find(kPause);
  for (; pause != std::string_view::npos; pause = bytes.find(kPause)) {
    parts.push_back(bytes.substr(0, pause));
    bytes.remove_prefix(pause + 1);
  }
  parts.push_back(bytes);
  return parts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 + kRequests) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view kinds = input.substr(1, kRequests);
  const std::vector<std::string_view> parts = Split(input.substr(1 + kRequests));
  const std::vector<Exchange> whole = AskAll(parts, kinds, Faults().max_read);
  const std::vector<Exchange> in_pieces = AskAll(parts, kinds, 1 + data[0]);
  SALLYPORT_CHECK(whole.size() == in_pieces.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    SALLYPORT_CHECK(whole[i].understood == in_pieces[i].understood);
    if (i == 0) continue;
    const std::span<const std::string_view> left(parts);
    const std::vector<Exchange> first =
        AskAll(left.subspan(whole[i].first_part), kinds.substr(i, 1), Faults().max_read);
    SALLYPORT_CHECK(first.at(0).understood == whole[i].understood);
  }
  return 0;
}
