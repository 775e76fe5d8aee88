// H1ServerConnection: requests in, responses out.

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/h1_body_reader.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http/h1_writer.h"
#include "agent/proxy/http/head_progress.h"
#include "agent/proxy/http/read_buffer.h"
#include "agent/proxy/http/serialize.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr int kFirstFinalStatus = 200;
constexpr int kLastStatus = 599;
constexpr int kNoRoom = 503;

// What a client may send before a request without having begun one.
bool IsNoHead(std::string_view bytes) { return bytes.empty() || bytes == "\r\n" || bytes == "\r"; }

struct Framing {
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;
  H1Writer::Mode mode = H1Writer::Mode::kSend;
};

// The length that a response without body tells about.
Framing AnnouncedFraming(const ResponseHead& head) {
  Framing result{BodyFraming::kNone, 0, H1Writer::Mode::kDiscard};
  if (head.status == 204) return result;
  std::optional<uint64_t> length;
  if (head.framing == BodyFraming::kLength) {
    length = head.content_length;
  } else if (head.framing == BodyFraming::kNone) {
    const std::string* announced = head.headers.Find("content-length");
    if (announced != nullptr) length = ParseContentLength(*announced);
  }
  if (length.has_value()) result = {BodyFraming::kLength, *length, H1Writer::Mode::kDiscard};
  return result;
}

// What counts of the request for its answer's framing.
struct AskedBy {
  bool head = false;  // HEAD.
  int minor_version = 1;
  bool te_trailers = false;
};

Framing FramingOf(const ResponseHead& head, const AskedBy& asked_by) {
  if (asked_by.head || head.status == 204 || head.status == 304) return AnnouncedFraming(head);
  switch (head.framing) {
    case BodyFraming::kLength:
      // Trailers need chunks. Whoever says that it takes them (RFC 9110 section 6.5.1) gets them
      // rather than the length, which its sender is held to here.
      if (head.may_have_trailers && asked_by.te_trailers && asked_by.minor_version > 0) break;
      return {BodyFraming::kLength, head.content_length};
    case BodyFraming::kNone:
      return {BodyFraming::kLength, 0};
    case BodyFraming::kChunked:
    case BodyFraming::kUntilClose:
      break;
  }
  return {asked_by.minor_version == 0 ? BodyFraming::kUntilClose : BodyFraming::kChunked, 0};
}

// HeadProgress may have put off parsing what came last: what is said of it must not depend on how
// it was cut into segments.
BadMessage CutOffHead(std::string_view bytes, const H1Limits& limits) {
  auto parsed = ParseRequestHead(bytes, limits);
  if (auto* bad = std::get_if<BadMessage>(&parsed)) return std::move(*bad);
  return {0, "the connection ended within a request's head"};
}

// Asks the client for the body, if it waits to be asked, before the first read that has to wait.
class AskedBody final : public BodyReader {
 public:
  AskedBody(H1BodyReader* body, H1Writer* writer) : body_(body), writer_(writer) {}

  void Begin(bool client_waits) {
    client_waits_ = client_waits;
    response_begun_ = false;
  }
  // From now on the client is not asked.
  void ResponseBegins() { response_begun_ = true; }
  // The client has not been asked, and has not sent anything unasked.
  bool client_waits() const { return client_waits_; }

  Task<absl::StatusOr<std::string_view>> Read() override {
    if (client_waits_) return AskAndRead(this);
    return body_->Read();
  }
  bool ReadyNow() override { return body_->ReadyNow(); }
  SplicedSource* spliced() override { return client_waits_ ? nullptr : body_->spliced(); }
  const Headers& trailers() const override { return body_->trailers(); }

 private:
  static Task<absl::StatusOr<std::string_view>> AskAndRead(AskedBody* self) {
    if (!self->body_->ReadyNow()) {
      if (self->response_begun_) {
        co_return absl::FailedPreconditionError(
            "the client was answered before it was told to continue");
      }
      self->client_waits_ = false;
      self->writer_->held()->append(kContinue);
      const absl::Status sent = co_await self->writer_->Flush();
      if (!sent.ok()) co_return sent;
    }
    self->client_waits_ = false;
    co_return co_await self->body_->Read();
  }

  H1BodyReader* const body_;
  H1Writer* const writer_;
  bool client_waits_ = false;
  bool response_begun_ = false;
};

}  // namespace

struct H1ServerConnection::State : std::enable_shared_from_this<H1ServerConnection::State> {
  State(Stream* stream, std::string_view early, const H1Limits& limits, const H1Timeouts& timeouts)
      : limits(limits),
        timeouts(timeouts),
        stream(stream),
        deadlines(stream),
        buffer(stream, early),
        received(&buffer, &deadlines, &this->limits, timeouts.body),
        writer(stream, &deadlines, timeouts.body),
        body(&received, &writer) {}

  void BeginExchange(const RequestHead& head) {
    idle = false;
    asked_whether_gone = false;
    asked_by = {head.method == "HEAD", head.minor_version, head.te_trailers};
    asks_for_websocket = head.websocket;
    asks_for_tunnel = IsConnect(head);
    client_keeps_alive = head.keep_alive && !head.websocket && !IsConnect(head);
    received.Begin(head.framing, head.content_length);
    body.Begin(head.expect_continue);
  }

  // After a head that could not be read there is nothing to keep.
  BadMessage Refuse(BadMessage bad) {
    idle = false;
    asked_by = {};
    asks_for_websocket = false;
    asks_for_tunnel = false;
    client_keeps_alive = false;
    received.Begin(BodyFraming::kNone, 0);
    body.Begin(/*client_waits=*/false);
    return bad;
  }

  bool Reusable() const {
    return response_begun && keeps_alive && writer.finished() && writer.failure().ok() &&
           !received.failed();
  }

  bool MayReadHead() const { return idle || (Reusable() && received.complete()); }

  absl::Status BeginResponse(const ResponseHead& head, bool keep_alive) {
    if (response_begun) return absl::InvalidArgumentError("the request has been answered already");
    if (head.status < kFirstFinalStatus || head.status > kLastStatus) {
      return absl::InvalidArgumentError("a status that is no final answer");
    }
    const bool unasked = body.client_waits() && !received.complete();
    body.ResponseBegins();
    const Framing framing = FramingOf(head, asked_by);
    keeps_alive =
        keep_alive && client_keeps_alive && !unasked && framing.framing != BodyFraming::kUntilClose;
    std::string_view connection = keeps_alive ? "" : "close";
    if (keeps_alive && asked_by.minor_version == 0) connection = "keep-alive";
    response_begun = true;
    AppendResponseHead(head.status, head.reason, head.headers, framing.framing,
                       framing.content_length, connection, writer.held());
    writer.BeginBody(framing.framing, framing.content_length, framing.mode);
    return writer.failure();
  }

  void Abandon() {
    const std::function<void()> callback = std::exchange(on_abandoned, nullptr);
    if (callback != nullptr) callback();
  }

  // A client that has closed its half may wait for its answer, or may be gone: the socket of one
  // that is gone answers any byte with a reset. 100 is a word that every client of HTTP/1.1 skips
  // (RFC 9110 section 15.2).
  void OnHangUp(HangUp how) {
    const bool owes_its_body = body.client_waits() && !received.complete();
    if (how == HangUp::kWhole || owes_its_body) {
      Abandon();
      return;
    }
    // A WebSocket's client may have said all that it has to say.
    const bool may_be_told = !response_begun && !asks_for_websocket && !asks_for_tunnel &&
                             asked_by.minor_version > 0 && !writer.sending();
    if (!may_be_told || context == nullptr || asked_whether_gone) return;
    asked_whether_gone = true;
    Spawn(*context, AskWhetherGone(shared_from_this()));
  }

  static Task<void> AskWhetherGone(std::shared_ptr<State> self) {
    if (self->left || self->response_begun || self->writer.sending()) co_return;
    self->writer.held()->append(kContinue);
    // What it comes to is told by OnHangUp.
    (void)co_await self->writer.Flush();
  }

  const H1Limits limits;
  const H1Timeouts timeouts;
  Stream* const stream;
  boost::asio::io_context* context = nullptr;  // Once a request has been read.
  std::function<void()> on_abandoned;
  Deadlines deadlines;
  ReadBuffer buffer;
  H1BodyReader received;
  H1Writer writer;
  AskedBody body;

  bool asked_whether_gone = false;
  bool closed_here = false;     // By CloseNow.
  bool left = false;            // The connection is gone: `stream` may be, too.
  bool awaits_request = false;  // No byte of it has come yet.
  bool idle = true;             // Before the first exchange.
  AskedBy asked_by;
  bool client_keeps_alive = false;
  bool asks_for_websocket = false;
  bool asks_for_tunnel = false;
  bool response_begun = false;
  bool keeps_alive = false;  // As the response's head said.
};

H1ServerConnection::H1ServerConnection(Stream* stream, std::string early, const H1Limits& limits,
                                       const H1Timeouts& timeouts)
    : state_(std::make_shared<State>(stream, early, limits, timeouts)) {}

H1ServerConnection::~H1ServerConnection() {
  if (state_ == nullptr) return;  // Moved from.
  state_->left = true;
  state_->deadlines.Detach();
}

Task<bool> H1ServerConnection::AwaitRequest() {
  State& s = *state_;
  if (!s.buffer.empty() || !s.MayReadHead()) co_return true;
  s.buffer.Release();
  s.writer.Release();
  s.deadlines.BeginRead(Deadlines::In(s.timeouts.idle));
  s.awaits_request = true;
  const absl::Status readable = co_await s.stream->WaitReadable();
  s.awaits_request = false;
  s.deadlines.EndRead();
  co_return readable.ok();
}

void H1ServerConnection::LeaveSoon(std::chrono::milliseconds grace) {
  if (state_->awaits_request)
    state_->deadlines.BeginRead(Deadlines::In(std::min(grace, state_->timeouts.idle)));
}

void H1ServerConnection::CloseNow() {
  state_->closed_here = true;
  state_->stream->Close(Stream::How::kReset);
  state_->Abandon();
}

Task<H1ServerConnection::HeadResult> H1ServerConnection::ReadHead(ContainerBudget* budget) {
  State& s = *state_;
  if (!s.MayReadHead()) co_return Closed{};
  if (s.context == nullptr) s.context = &co_await ThisContext();
  s.response_begun = false;
  s.keeps_alive = false;
  HeadProgress progress(s.limits);
  HeadRoom room(budget, s.limits.head_bytes);
  SteadyTime deadline = Deadlines::In(s.buffer.empty() ? s.timeouts.idle : s.timeouts.head);
  while (true) {
    if (progress.WorthParsing(s.buffer.bytes())) {
      auto parsed = ParseRequestHead(s.buffer.bytes(), s.limits);
      if (auto* bad = std::get_if<BadMessage>(&parsed)) co_return s.Refuse(std::move(*bad));
      if (auto* head = std::get_if<ParsedHead<RequestHead>>(&parsed)) {
        s.buffer.Consume(head->consumed);
        s.BeginExchange(head->head);
        co_return std::move(head->head);
      }
    }
    if (!room.Has(s.buffer.size()))
      co_return s.Refuse({kNoRoom, std::string(InfoOf(HeadRoom::kLimit).name)});
    const bool was_empty = s.buffer.empty();
    s.deadlines.BeginRead(deadline);
    s.awaits_request = was_empty;
    const absl::StatusOr<size_t> count =
        co_await s.buffer.Fill(was_empty ? ReadBuffer::kIdleBytes : ReadBuffer::kFullBytes);
    s.awaits_request = false;
    s.deadlines.EndRead();
    if (!count.ok() || *count == 0) {
      if (IsNoHead(s.buffer.bytes())) co_return Closed{};
      if (absl::IsDeadlineExceeded(count.status())) {
        co_return s.Refuse({408, "the request's head took too long"});
      }
      co_return s.Refuse(CutOffHead(s.buffer.bytes(), s.limits));
    }
    if (was_empty) deadline = Deadlines::In(s.timeouts.head);
  }
}

BodyReader& H1ServerConnection::body() { return state_->body; }

bool H1ServerConnection::body_complete() const { return state_->received.complete(); }

Task<bool> H1ServerConnection::DrainBody(uint64_t max_bytes, std::chrono::milliseconds max_time) {
  State& s = *state_;
  // A client that was not asked for its body may send it or not: what follows cannot be told from
  // it.
  if (!s.received.complete() && s.body.client_waits()) co_return false;
  s.received.set_final_deadline(Deadlines::In(max_time));
  uint64_t dropped = 0;
  while (!s.received.complete() && dropped <= max_bytes) {
    const absl::StatusOr<std::string_view> piece = co_await s.received.Read();
    if (!piece.ok()) break;
    dropped += piece->size();
  }
  s.received.set_final_deadline(SteadyTime::max());
  co_return s.received.complete() && dropped <= max_bytes;
}

void H1ServerConnection::StopReading() {
  state_->stream->SetDeadline(std::chrono::steady_clock::now());
}

Task<absl::Status> H1ServerConnection::WriteInterim(const ResponseHead& head) {
  State& s = *state_;
  if (s.response_begun) return absl::InvalidArgumentError("the request has been answered already");
  if (s.asked_by.minor_version == 0) return absl::OkStatus();
  AppendResponseHead(head.status, head.reason, head.headers, BodyFraming::kNone, 0, "",
                     s.writer.held());
  return s.writer.Flush();
}

Task<absl::Status> H1ServerConnection::WriteHead(const ResponseHead& head, bool keep_alive) {
  return state_->BeginResponse(head, keep_alive);
}

Task<absl::Status> H1ServerConnection::WriteBody(std::string_view bytes, More more) {
  return state_->writer.Write(bytes, more);
}

Task<absl::Status> H1ServerConnection::Flush() { return state_->writer.Flush(); }

SplicedSink* H1ServerConnection::spliced() { return &state_->writer; }

Task<absl::Status> H1ServerConnection::FinishBody(const Headers& trailers) {
  return state_->writer.Finish(trailers);
}

Task<absl::Status> H1ServerConnection::WriteResponse(const ResponseHead& head,
                                                     std::string_view body, bool keep_alive) {
  ResponseHead whole = head;
  whole.framing = BodyFraming::kLength;
  whole.content_length = body.size();
  absl::Status begun = state_->BeginResponse(whole, keep_alive);
  if (!begun.ok()) return begun;
  return state_->writer.WriteWhole(body);
}

Task<absl::Status> H1ServerConnection::SwitchToWebSocket(const ResponseHead& head,
                                                         std::string_view first) {
  State& s = *state_;
  if (s.response_begun || !s.asks_for_websocket)
    return absl::InvalidArgumentError("nobody waits for a WebSocket");
  s.response_begun = true;
  AppendSwitchToWebSocket(head.reason, head.headers, s.writer.held());
  // What follows ends with the connection and is nobody's body.
  s.writer.BeginBody(BodyFraming::kUntilClose, 0, H1Writer::Mode::kSend);
  return s.writer.WriteWhole(first);
}

Task<absl::Status> H1ServerConnection::AcceptConnect() {
  State& s = *state_;
  if (s.response_begun || !s.asks_for_tunnel)
    return absl::InvalidArgumentError("nobody waits for a tunnel");
  s.response_begun = true;
  AppendResponseHead(200, "Connection established", {}, BodyFraming::kNone, 0, "", s.writer.held());
  s.writer.BeginBody(BodyFraming::kUntilClose, 0, H1Writer::Mode::kSend);
  return s.writer.Flush();
}

void H1ServerConnection::OnAbandoned(std::function<void()> callback) {
  State& s = *state_;
  s.on_abandoned = std::move(callback);
  if (s.on_abandoned == nullptr) {
    s.stream->OnHangUp(nullptr);
  } else if (s.closed_here) {
    s.Abandon();
  } else {
    s.stream->OnHangUp([&s](HangUp how) { s.OnHangUp(how); });
  }
}

void H1ServerConnection::Abort() { state_->stream->Close(Stream::How::kReset); }

Stream& H1ServerConnection::tunnel() { return *state_->stream; }

std::string H1ServerConnection::TakeBuffered() { return state_->buffer.Take(); }

bool H1ServerConnection::response_begun() const { return state_->response_begun; }

bool H1ServerConnection::reusable() const { return state_->Reusable(); }

uint64_t H1ServerConnection::body_bytes_received() const { return state_->received.bytes(); }

uint64_t H1ServerConnection::body_bytes_sent() const {
  return state_->response_begun ? state_->writer.body_bytes() : 0;
}

}  // namespace sallyport::proxy
