// Bodies over a stream of HTTP/2, for either side.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_BODY_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_BODY_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/proxy/http/body.h"
#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/h2_stream.h"
#include "agent/proxy/http/http_exchange.h"

namespace sallyport::proxy {

// Gives the stream's window back as its pieces are done with. Belongs to one worker.
class H2BodyReader final : public BodyReader {
 public:
  // `session` outlives this. `timeout`: between two pieces, while nothing is sent either.
  H2BodyReader(H2Session* session, std::shared_ptr<H2Stream> stream,
               std::chrono::milliseconds timeout)
      : session_(session), stream_(std::move(stream)), timeout_(timeout) {}

  // Errors as H2Stream::failure says; CANCELLED after Stop; DEADLINE_EXCEEDED.
  Task<absl::StatusOr<std::string_view>> Read() override;
  bool ReadyNow() override;
  const Headers& trailers() const override { return stream_->trailers; }
  // Whether everything up to the end has been read.
  bool complete() const { return stream_->remote_ended && stream_->unread.empty(); }
  // Ends a read that waits, and every later one.
  void Stop();

 private:
  H2Session* const session_;
  const std::shared_ptr<H2Stream> stream_;
  const std::chrono::milliseconds timeout_;
  std::string piece_;
  bool stopped_ = false;
};

// Begin, Write…, Finish. Belongs to one worker.
class H2Writer {
 public:
  // `session` outlives this. `timeout`: a write that gets nothing through for so long resets the
  // stream.
  H2Writer(H2Session* session, std::shared_ptr<H2Stream> stream, std::chrono::milliseconds timeout)
      : session_(session), stream_(std::move(stream)), timeout_(timeout) {}

  // What follows the head. The first two: nothing, as the head has ended the stream; what is
  // written is dropped (an answer to HEAD), or too much.
  enum class Body { kNone, kEmpty, kSend };
  void Begin(Body body, std::optional<uint64_t> length);
  // INVALID_ARGUMENT: more, or at the end less, than the declared length.
  Task<absl::Status> Write(std::string_view bytes, More more);
  absl::Status Flush();
  // Until the stream's interim heads are out: what a peer does not read would be kept for it.
  Task<absl::Status> AwaitInterim();
  // Leaves out of `trailers` what may not be one.
  Task<absl::Status> Finish(const Headers& trailers);
  // `bytes` is all of it; Finish included.
  Task<absl::Status> WriteWhole(std::string_view bytes);

  // Why nothing more can be written.
  absl::Status failure() const;
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  static constexpr size_t kMaxHeldBytes = 4 * 1024;

  absl::Status CheckWritable(size_t bytes) const;
  // Sends what is outgoing; until it has been taken, and the end of it too if there is one.
  Task<absl::Status> AwaitTaken();

  H2Session* const session_;
  const std::shared_ptr<H2Stream> stream_;
  const std::chrono::milliseconds timeout_;
  Body body_ = Body::kNone;
  std::optional<uint64_t> left_;
  uint64_t body_bytes_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_BODY_H_
