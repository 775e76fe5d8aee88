// Reads HTTP/1.1 bodies off a connection.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H1_BODY_READER_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H1_BODY_READER_H_

#include <optional>

#include "agent/proxy/http/body.h"
#include "agent/proxy/http/chunked_decoder.h"
#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/read_buffer.h"
#include "agent/proxy/tcp_stream.h"

namespace sallyport::proxy {

// One body after the other: Begin, then Read. Pieces are views into the buffer; what follows the
// body stays in it. Errors: INVALID_ARGUMENT for broken framing, DATA_LOSS for an end before the
// body's, and what the stream says.
class H1BodyReader final : public BodyReader, private SplicedSource {
 public:
  // All outlive this.
  H1BodyReader(ReadBuffer* buffer, Deadlines* deadlines, const H1Limits* limits,
               std::chrono::milliseconds timeout);

  void Begin(BodyFraming framing, uint64_t content_length);

  Task<absl::StatusOr<std::string_view>> Read() override;
  bool ReadyNow() override;
  SplicedSource* spliced() override { return this; }
  const Headers& trailers() const override { return trailers_; }

  // Everything has been read by the caller, or there is nothing to read.
  bool complete() const {
    const bool piece_waits = ready_.has_value() && ready_->ok() && !(*ready_)->empty();
    return state_ == State::kComplete && !piece_waits;
  }
  bool failed() const { return state_ == State::kFailed; }
  uint64_t bytes() const { return bytes_; }
  // Reads fail at `deadline` even if the sender makes progress.
  void set_final_deadline(SteadyTime deadline) { final_deadline_ = deadline; }

 private:
  enum class State : uint8_t { kBody, kTrailers, kComplete, kFailed };
  using Piece = absl::StatusOr<std::string_view>;

  bool CanFill() const override;
  absl::StatusOr<size_t> Fill(PipePool::Pipe* pipe) override;
  Task<absl::Status> AwaitMore() override;

  // Around each wait.
  void BeginRead();
  // Reads until there is a piece.
  Task<Piece> ReadMore();
  // What ReadyNow found, or what there is now; nullopt: more has to be read.
  std::optional<Piece> TakeReady();
  // From the buffer alone; nullopt: more has to be read.
  std::optional<Piece> TryRead();
  std::optional<Piece> TryReadLength();
  std::optional<Piece> TryReadChunked();
  std::optional<Piece> TryReadTrailers();
  Piece EndOfStream();
  Piece Complete();
  Piece Fail(absl::Status status);

  TcpStream* const socket_;  // Null: what `buffer_` reads from is none.
  ReadBuffer* const buffer_;
  Deadlines* const deadlines_;
  const H1Limits* const limits_;
  const std::chrono::milliseconds timeout_;
  SteadyTime final_deadline_ = SteadyTime::max();

  State state_ = State::kComplete;
  BodyFraming framing_ = BodyFraming::kNone;
  uint64_t left_ = 0;  // kLength only.
  ChunkedDecoder decoder_{0};
  Headers trailers_;
  uint64_t bytes_ = 0;
  absl::Status failure_;
  std::optional<Piece> ready_;  // Found by ReadyNow.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H1_BODY_READER_H_
