#include "agent/proxy/http/h2_exchange.h"

#include <array>
#include <optional>
#include <utility>

#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/h2_fields.h"
#include "agent/proxy/http/websocket_key.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr int kFirstFinalStatus = 200;
constexpr int kFirstRefusal = 300;
constexpr int kLastStatus = 599;
constexpr std::chrono::seconds kLingerTime{1};
constexpr uint64_t kLingerBytes = 1024 * 1024;
constexpr std::chrono::milliseconds kHeldHeadTime{100};
constexpr std::string_view kAccept = "sec-websocket-accept";

Headers ListOf(int status, const Headers& fields) {
  Headers list;
  list.Reserve(fields.fields().size() + 2);
  list.Add(":status", std::to_string(status));
  AppendH2Fields(fields, &list);
  return list;
}

// The length that a response without body tells about (RFC 9110 section 8.6).
std::optional<uint64_t> AnnouncedLength(const ResponseHead& head) {
  if (head.status == 204) return std::nullopt;
  if (head.framing == BodyFraming::kLength) return head.content_length;
  const std::string* announced = head.headers.Find("content-length");
  if (head.framing != BodyFraming::kNone || announced == nullptr) return std::nullopt;
  return ParseContentLength(*announced);
}

std::optional<uint64_t> LengthOf(const ResponseHead& head) {
  if (head.framing == BodyFraming::kLength) return head.content_length;
  if (head.framing == BodyFraming::kNone) return 0;
  return std::nullopt;
}

}  // namespace

H2ServerExchange::H2ServerExchange(H2Session* session, std::shared_ptr<H2Stream> stream,
                                   std::chrono::milliseconds timeout)
    : session_(session),
      stream_(std::move(stream)),
      received_(session, stream_, timeout),
      body_(this),
      writer_(session, stream_, timeout),
      tunnel_(session, stream_) {}

H2ServerExchange::~H2ServerExchange() {
  stream_->on_failure = nullptr;
  if (!stream_->remote_ended || !stream_->local_ended) {
    session_->Reset(*stream_, stream_->local_ended ? H2Error::kNoError : H2Error::kInternalError,
                    absl::CancelledError("the request has been served"));
  }
  session_->Release(*stream_);
}

Task<void> H2ServerExchange::Linger() {
  H2Stream& stream = *stream_;
  if (!stream.local_ended || stream.remote_ended) co_return;
  session_->Discard(stream);
  const SteadyTime deadline = Deadlines::In(kLingerTime);
  const uint64_t enough = stream.received_bytes + kLingerBytes;
  while (!stream.remote_ended && stream.failure.ok() && stream.received_bytes < enough) {
    stream.readable.Reset();
    if (!(co_await stream.readable.Wait(deadline)).ok()) co_return;
  }
}

void H2ServerExchange::Begin(const RequestHead& head) {
  client_waits_ = head.expect_continue;
  request_is_head_ = head.method == "HEAD";
  asks_for_tunnel_ = IsConnect(head);
  if (!head.websocket) return;
  if (const std::string* key = head.headers.Find("sec-websocket-key")) websocket_key_ = *key;
}

Task<absl::StatusOr<std::string_view>> H2ServerExchange::AskedBody::Read() {
  H2ServerExchange& exchange = *exchange_;
  if (std::exchange(exchange.client_waits_, false) && !exchange.received_.ReadyNow()) {
    if (exchange.response_begun_) {
      exchange.client_waits_ = true;
      co_return absl::FailedPreconditionError(
          "the client was answered before it was told to continue");
    }
    ResponseHead go_on;
    go_on.status = 100;
    exchange.SendHead(go_on, H2Session::HeadKind::kInterim);
    exchange.session_->Wake();
  }
  co_return co_await exchange.received_.Read();
}

Task<bool> H2ServerExchange::DrainBody(uint64_t, std::chrono::milliseconds) {
  session_->Discard(*stream_);
  co_return true;
}

void H2ServerExchange::SendHead(const ResponseHead& head, H2Session::HeadKind kind) {
  session_->SendHead(*stream_, ListOf(head.status, head.headers), kind, /*ends_stream=*/false);
}

Task<absl::Status> H2ServerExchange::WriteInterim(const ResponseHead& head) {
  if (response_begun_)
    co_return absl::InvalidArgumentError("the request has been answered already");
  SendHead(head, H2Session::HeadKind::kInterim);
  co_return co_await writer_.AwaitInterim();
}

Task<absl::Status> H2ServerExchange::WriteHead(const ResponseHead& head, bool) {
  if (response_begun_)
    co_return absl::InvalidArgumentError("the request has been answered already");
  if (head.status < kFirstFinalStatus || head.status > kLastStatus) {
    co_return absl::InvalidArgumentError("a status that is no final answer");
  }
  response_begun_ = true;
  const bool bodiless = request_is_head_ || head.status == 204 || head.status == 304;
  const std::optional<uint64_t> length = bodiless ? AnnouncedLength(head) : LengthOf(head);
  const bool ends = bodiless || length == 0;
  Headers list = ListOf(head.status, head.headers);
  if (length.has_value()) AppendContentLength(*length, &list);
  if (head.status >= kFirstRefusal && !ends && !stream_->remote_ended) {
    held_head_ = std::move(list);
  } else {
    session_->SendHead(*stream_, list, H2Session::HeadKind::kFinal, ends);
  }
  writer_.Begin(bodiless ? H2Writer::Body::kNone
                : ends   ? H2Writer::Body::kEmpty
                         : H2Writer::Body::kSend,
                length);
  co_return writer_.failure();
}

void H2ServerExchange::SendHeldHead() {
  if (held_head_.empty()) return;
  session_->SendHead(*stream_, std::exchange(held_head_, {}), H2Session::HeadKind::kFinal,
                     /*ends_stream=*/false);
}

Task<absl::Status> H2ServerExchange::WriteBody(std::string_view bytes, More more) {
  SendHeldHead();
  return writer_.Write(bytes, more);
}

Task<absl::Status> H2ServerExchange::Flush() {
  if (held_head_.empty()) co_return writer_.Flush();
  if (held_until_ != nullptr) co_return writer_.failure();
  held_until_ = std::make_shared<boost::asio::steady_timer>(session_->context(), kHeldHeadTime);
  held_until_->async_wait(
      [this, alive = std::weak_ptr(held_until_)](const boost::system::error_code&) {
        if (alive.expired()) return;
        SendHeldHead();
        (void)writer_.Flush();
      });
  co_return writer_.failure();
}

Task<absl::Status> H2ServerExchange::FinishBody(const Headers& trailers) {
  SendHeldHead();
  return writer_.Finish(trailers);
}

Task<absl::Status> H2ServerExchange::WriteResponse(const ResponseHead& head, std::string_view body,
                                                   bool keep_alive) {
  ResponseHead whole = head;
  whole.framing = BodyFraming::kLength;
  whole.content_length = body.size();
  CO_RETURN_IF_ERROR(co_await WriteHead(whole, keep_alive));
  SendHeldHead();
  co_return co_await writer_.WriteWhole(body);
}

void H2ServerExchange::Abort() {
  session_->Reset(*stream_, H2Error::kInternalError,
                  absl::CancelledError("the exchange was given up here"));
}

void H2ServerExchange::OnAbandoned(std::function<void()> callback) {
  if (callback != nullptr && !stream_->failure.ok()) {
    callback();
    return;
  }
  stream_->on_failure = std::move(callback);
}

Task<absl::Status> H2ServerExchange::SwitchToWebSocket(const ResponseHead& head,
                                                       std::string_view first) {
  if (response_begun_ || websocket_key_.empty())
    co_return absl::InvalidArgumentError("nobody waits for a WebSocket");
  const std::string* accept = head.headers.Find(kAccept);
  if (accept == nullptr || *accept != WebSocketAccept(websocket_key_))
    co_return absl::InvalidArgumentError("the origin's Sec-WebSocket-Accept is wrong");
  response_begun_ = true;
  ResponseHead agreed = head;
  agreed.status = 200;
  agreed.headers.Remove(kAccept);
  SendHead(agreed, H2Session::HeadKind::kFinal);
  const std::array<std::string_view, 1> pieces = {first};
  session_->Wake();
  co_return co_await tunnel_.Write(pieces);
}

Task<absl::Status> H2ServerExchange::AcceptConnect() {
  if (response_begun_ || !asks_for_tunnel_)
    co_return absl::InvalidArgumentError("nobody waits for a tunnel");
  response_begun_ = true;
  ResponseHead agreed;
  agreed.status = 200;
  SendHead(agreed, H2Session::HeadKind::kFinal);
  session_->Wake();
  co_return stream_->failure;
}

}  // namespace sallyport::proxy
