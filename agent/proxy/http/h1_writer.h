// Writes heads and framed bodies to a connection.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H1_WRITER_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H1_WRITER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/proxy/event.h"
#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/tcp_stream.h"

namespace sallyport::proxy {

// One message after the other: append a head to held(), BeginBody, Write…, Finish. Belongs to one
// worker. An error is final. What need not wait is done within the call, before what it returns is
// awaited: most of a message is, and a coroutine for each step costs more than the step.
class H1Writer final : public SplicedSink {
 public:
  // Both outlive this.
  H1Writer(Stream* stream, Deadlines* deadlines, std::chrono::milliseconds timeout);

  // Goes out before everything else with the next write or Flush.
  std::string* held() { return &held_; }
  bool has_held() const { return !held_.empty(); }

  // Gives memory back that is not in use.
  void Release() {
    // Not an assignment, which would copy the empty string and keep the memory.
    if (held_.empty()) std::string().swap(held_);
    if (!sending_) std::string().swap(sent_first_);
  }

  enum class Mode : uint8_t {
    kSend,
    kDiscard
  };  // kDiscard: a body that its head announces is not sent (HEAD).
  void BeginBody(BodyFraming framing, uint64_t content_length, Mode mode);
  Task<absl::Status> Write(std::string_view bytes, More more);
  Task<absl::Status> Finish(const Headers& trailers);
  // `body` is all of it; Finish included, in one write.
  Task<absl::Status> WriteWhole(std::string_view body);
  Task<absl::Status> Flush();
  bool CanDrain() const override;
  Task<absl::Status> Drain(PipePool::Pipe* pipe) override;

  // A write is under way.
  bool sending() const { return sending_; }
  // Between Finish and the next BeginBody, and at the beginning.
  bool finished() const { return finished_; }
  const absl::Status& failure() const { return failure_; }
  // Of the current message, without framing.
  uint64_t body_bytes() const { return body_bytes_; }

 private:
  static constexpr size_t kMaxHeldBytes = 4 * 1024;
  static constexpr size_t kMaxPieces = 2;
  using Pieces = std::array<std::string_view, kMaxPieces>;

  // Writes what is held, and then `pieces`. Waits while another coroutine's write is under way.
  Task<absl::Status> Send(Pieces pieces);
  Task<absl::Status> SendNext(Pieces pieces);
  Task<absl::Status> AwaitSent(Task<absl::Status> write);
  // The write that was under way is over.
  absl::Status Sent(absl::Status status);
  absl::Status CheckWritable(size_t bytes) const;
  void AppendChunkSize(size_t size);

  Stream* const stream_;
  TcpStream* const socket_;  // Null: stream_ is none.
  Deadlines* const deadlines_;
  const std::chrono::milliseconds timeout_;
  std::string held_;
  uint64_t left_ = 0;  // kLength only.
  uint64_t body_bytes_ = 0;
  absl::Status failure_;
  BodyFraming framing_ = BodyFraming::kNone;
  Mode mode_ = Mode::kSend;
  bool finished_ = true;
  // Of the write that is under way.
  bool sending_ = false;
  std::string sent_first_;
  std::array<std::string_view, 1 + kMaxPieces> all_;
  std::unique_ptr<Event> sent_;  // Made when somebody waits.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H1_WRITER_H_
