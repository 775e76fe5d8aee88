// H1ClientConnection: requests out, responses in.

#include <algorithm>
#include <utility>

#include "agent/proxy/http/client_request.h"
#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/h1_body_reader.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http/h1_writer.h"
#include "agent/proxy/http/head_progress.h"
#include "agent/proxy/http/read_buffer.h"
#include "agent/proxy/http/serialize.h"
#include "agent/proxy/tcp_stream.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

// Servers ask for a body that they do not read, too: nginx does so right before any answer.
constexpr std::chrono::milliseconds kAfterContinue{20};

bool IsInterim(int status) { return status < 200 && status != 101; }

}  // namespace

struct H1ClientConnection::State {
  State(std::unique_ptr<Stream> owned, const H1Limits& limits, const H1Timeouts& timeouts)
      : stream(std::move(owned)),
        limits(limits),
        deadlines(stream.get()),
        buffer(stream.get(), ""),
        body(&buffer, &deadlines, &this->limits, timeouts.body),
        writer(stream.get(), &deadlines, timeouts.body) {}

  bool Reusable() const {
    if (!buffer.empty() || !writer.failure().ok()) return false;
    if (!used) return true;
    return writer.finished() && answered && keep_alive && body.complete();
  }

  // From the buffer alone.
  absl::StatusOr<std::optional<ResponseHead>> TryParse() {
    if (early.has_value()) {
      absl::StatusOr<ResponseHead> head = *std::exchange(early, std::nullopt);
      if (!head.ok()) return head.status();
      return *std::move(head);
    }
    while (progress->WorthParsing(buffer.bytes())) {
      auto parsed = ParseResponseHead(buffer.bytes(), method, limits);
      if (auto* bad = std::get_if<BadMessage>(&parsed))
        return absl::InvalidArgumentError(bad->detail);
      auto* head = std::get_if<ParsedHead<ResponseHead>>(&parsed);
      if (head == nullptr) break;
      buffer.Consume(head->consumed);
      progress.emplace(limits);
      if (head->head.status >= 200) return std::move(head->head);
      if (head->head.status == 101) {
        if (!asks_for_websocket) return absl::InvalidArgumentError("a 101 that nobody asked for");
        if (!head->head.websocket)
          return absl::InvalidArgumentError("a 101 to something other than a WebSocket");
        return std::move(head->head);
      }
      if (++interim_heads > kMaxInterimHeads)
        return absl::InvalidArgumentError("too many interim answers");
      if (head->head.status != 100 || expects_continue) return std::move(head->head);
    }
    return std::nullopt;
  }

  absl::Status ReadFailure(const absl::Status& status) const {
    if (absl::IsDeadlineExceeded(status) || absl::IsCancelled(status)) return status;
    if (buffer.empty() && interim_heads == 0) {
      return absl::UnavailableError("the connection was closed before an answer");
    }
    return absl::DataLossError("the connection was closed within the answer's head");
  }

  void BeginReadingHead() {
    progress.emplace(limits);
    first_read = true;
  }

  Task<absl::StatusOr<ResponseHead>> Receive(std::chrono::milliseconds timeout) {
    while (true) {
      absl::StatusOr<std::optional<ResponseHead>> head = TryParse();
      if (!head.ok()) co_return head.status();
      if (head->has_value()) co_return **std::move(head);
      if (first_read) {
        first_read = false;
        deadlines.BeginReadAfterWrites(timeout);
      }
      const absl::StatusOr<size_t> count = co_await buffer.Fill(ReadBuffer::kFullBytes);
      if (!count.ok()) co_return ReadFailure(count.status());
      if (*count == 0) co_return ReadFailure(absl::OkStatus());
    }
  }

  const std::unique_ptr<Stream> stream;
  const H1Limits limits;
  Deadlines deadlines;
  ReadBuffer buffer;
  H1BodyReader body;
  H1Writer writer;

  std::string method;  // Of the current request.
  bool asks_for_websocket = false;
  bool expects_continue = false;
  std::optional<HeadProgress> progress;
  // Came while a 100 was awaited.
  std::optional<absl::StatusOr<ResponseHead>> early;
  int interim_heads = 0;
  bool first_read = true;
  bool used = false;
  bool answered = false;  // The final head of the current exchange has been read.
  bool keep_alive = false;
};

H1ClientConnection::H1ClientConnection(std::unique_ptr<Stream> stream, const H1Limits& limits,
                                       const H1Timeouts& timeouts)
    : state_(std::make_unique<State>(std::move(stream), limits, timeouts)) {}

H1ClientConnection::~H1ClientConnection() = default;

Task<absl::Status> H1ClientConnection::WriteHead(const RequestHead& head,
                                                 std::string_view authority_text) {
  State& s = *state_;
  RETURN_IF_ERROR(CheckRequest(head, authority_text));
  if (!s.Reusable()) return absl::UnavailableError("the connection takes no further request");
  s.used = true;
  s.answered = false;
  s.method = head.method;
  s.asks_for_websocket = head.websocket;
  s.expects_continue = head.expect_continue;
  s.interim_heads = 0;
  s.early.reset();
  s.body.Begin(BodyFraming::kNone, 0);
  AppendRequestHead(head, authority_text, head.headers, head.framing, head.content_length,
                    s.writer.held());
  s.writer.BeginBody(head.framing, head.content_length, H1Writer::Mode::kSend);
  return absl::OkStatus();
}

Task<absl::Status> H1ClientConnection::WriteBody(std::string_view bytes, More more) {
  return state_->writer.Write(bytes, more);
}

Task<absl::Status> H1ClientConnection::Flush() { return state_->writer.Flush(); }

SplicedSink* H1ClientConnection::spliced() { return &state_->writer; }

Task<absl::Status> H1ClientConnection::FinishBody(const Headers& trailers) {
  return state_->writer.Finish(trailers);
}

Task<absl::StatusOr<ResponseHead>> H1ClientConnection::ReadHead(std::chrono::milliseconds timeout) {
  State& s = *state_;
  if (!s.used || s.answered) co_return absl::InvalidArgumentError("no request waits for an answer");
  if (s.writer.has_held()) {
    const absl::Status sent = co_await s.writer.Flush();
    if (!sent.ok()) co_return s.ReadFailure(sent);
  }
  s.BeginReadingHead();
  absl::StatusOr<ResponseHead> head = co_await s.Receive(timeout);
  s.deadlines.EndReadAfterWrites();
  if (!head.ok() || IsInterim(head->status)) co_return head;
  s.answered = true;
  s.keep_alive = head->keep_alive && head->status != 101;
  s.body.Begin(head->framing, head->content_length);
  co_return head;
}

Task<H1ClientConnection::Continue> H1ClientConnection::AwaitContinue(
    std::chrono::milliseconds timeout) {
  State& s = *state_;
  absl::Status sent = co_await s.writer.Flush();
  if (!sent.ok()) co_return Continue::kAnswer;
  s.BeginReadingHead();
  Continue result = Continue::kSilence;
  while (true) {
    absl::StatusOr<ResponseHead> head = co_await s.Receive(timeout);
    if (absl::IsDeadlineExceeded(head.status())) break;
    if (!head.ok() || !IsInterim(head->status)) {
      s.early = std::move(head);
      result = Continue::kAnswer;
      break;
    }
    if (head->status != 100) continue;
    result = Continue::kWanted;
    timeout = kAfterContinue;
    s.first_read = true;
  }
  s.deadlines.EndReadAfterWrites();
  co_return result;
}

BodyReader& H1ClientConnection::body() { return state_->body; }

std::string H1ClientConnection::TakeBuffered() { return state_->buffer.Take(); }

bool H1ClientConnection::reusable() const { return state_->Reusable(); }

bool H1ClientConnection::StillIdle() {
  State& s = *state_;
  return s.Reusable() && !s.stream->ReadableNow();
}

bool H1ClientConnection::SeemsIdle() const {
  const auto* const socket = dynamic_cast<const TcpStream*>(state_->stream.get());
  return socket != nullptr && state_->Reusable() && socket->SeemsQuiet();
}

void H1ClientConnection::Abort() { state_->stream->Close(Stream::How::kReset); }

Stream& H1ClientConnection::tunnel() { return *state_->stream; }

}  // namespace sallyport::proxy
