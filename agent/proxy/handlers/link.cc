#include "agent/proxy/handlers/link.h"

#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "agent/proxy/handlers/call.h"
#include "agent/proxy/handlers/http2_session.h"
#include "agent/proxy/handlers/not_processed.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kReadBytes = 32 * 1024;
// Frames are gathered up to this much, or a frame more, before they are written.
constexpr size_t kBatchBytes = 64 * 1024;
// A peer that took no bytes for so long is given no new calls.
constexpr std::chrono::seconds kStalledTime{5};
// For the last words to a peer that broke HTTP/2.
constexpr std::chrono::seconds kFarewellTime{1};

using Clock = std::chrono::steady_clock;

// Shared by the link's two loops and its owner. The writing loop closes the stream.
struct Connection {
  Connection(boost::asio::io_context& context, std::unique_ptr<Stream> connected,
             std::string authority)
      : stream(std::move(connected)),
        session(std::make_shared<Http2Session>(context, std::move(authority))) {}

  void Lose(const absl::Status& why) {
    session->Fail(why);
    stream->SetDeadline(Clock::now() + kFarewellTime);
  }

  const std::unique_ptr<Stream> stream;
  const std::shared_ptr<Http2Session> session;
  std::optional<Clock::time_point> writing_since;
};

absl::Status Lost(const absl::Status& cause) {
  const absl::string_view text = cause.message();
  return absl::UnavailableError("the connection to the handler was lost: " +
                                std::string(text.data(), text.size()));
}

// An idle connection waits for its peer without a deadline; each call has its own.
Task<void> ReadLoop(std::shared_ptr<Connection> connection) {
  std::array<char, kReadBytes> buffer;
  while (!connection->session->finished()) {
    const absl::StatusOr<size_t> count = co_await connection->stream->Read(buffer);
    if (!count.ok()) {
      connection->Lose(Lost(count.status()));
    } else if (*count == 0) {
      connection->Lose(absl::UnavailableError("the handler closed the connection"));
    } else {
      const absl::Status understood =
          connection->session->OnInput(std::string_view(buffer.data(), *count));
      if (!understood.ok()) connection->Lose(understood);
    }
  }
}

Task<void> WriteLoop(std::shared_ptr<Connection> connection) {
  Http2Session& session = *connection->session;
  std::string batch;
  while (true) {
    session.output_ready().Reset();
    batch.clear();
    session.TakeOutput(kBatchBytes, &batch);
    if (!batch.empty()) {
      connection->writing_since = Clock::now();
      const std::array<std::string_view, 1> pieces = {batch};
      const absl::Status written = co_await connection->stream->Write(pieces);
      connection->writing_since.reset();
      if (written.ok()) continue;
      connection->Lose(Lost(written));
      break;
    }
    if (session.finished()) break;
    const absl::Status woken = co_await session.output_ready().Wait(SteadyTime::max());
    woken.IgnoreError();  // Without a deadline it is OK.
  }
  connection->stream->Close(Stream::How::kGraceful);
}

Task<absl::StatusOr<std::string>> Refuse() {
  co_return NotProcessedError("the connection to the handler takes no calls");
}

class Http2Link final : public HandlerLink {
 public:
  explicit Http2Link(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~Http2Link() override { connection_->session->Retire(); }

  bool usable() const override {
    const bool stalled = connection_->writing_since.has_value() &&
                         Clock::now() - *connection_->writing_since > kStalledTime;
    return !stalled && connection_->session->accepts_calls();
  }
  size_t calls_in_flight() const override { return connection_->session->calls_in_flight(); }

  using HandlerLink::Call;
  absl::StatusOr<std::unique_ptr<HandlerCall>> Call(std::string_view identity_token) override {
    if (!usable()) return NotProcessedError("the connection to the handler takes no calls");
    return std::make_unique<Http2Call>(
        connection_->session,
        connection_->session->Open(Http2Session::kHandlePath, identity_token));
  }

  Task<absl::StatusOr<std::string>> Ask(std::string_view path, std::string request,
                                        SteadyTime deadline) override {
    if (!usable()) return Refuse();
    return AskOnce(connection_->session, connection_->session->Open(path), std::move(request),
                   deadline);
  }

  void Close() override {
    connection_->session->Fail(
        absl::UnavailableError("the connection to the handler was closed here"));
    connection_->stream->Close(Stream::How::kReset);
  }

 private:
  const std::shared_ptr<Connection> connection_;
};

}  // namespace

std::shared_ptr<HandlerLink> HandlerLink::Start(boost::asio::io_context& context,
                                                std::unique_ptr<Stream> stream,
                                                std::string authority) {
  auto connection = std::make_shared<Connection>(context, std::move(stream), std::move(authority));
  Spawn(context, WriteLoop(connection));
  Spawn(context, ReadLoop(connection));
  return std::make_shared<Http2Link>(std::move(connection));
}

}  // namespace sallyport::proxy
