// Stream over a connected TCP (or Unix) socket.

#ifndef SALLYPORT_AGENT_PROXY_TCP_STREAM_H_
#define SALLYPORT_AGENT_PROXY_TCP_STREAM_H_

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "agent/proxy/gauge.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/turns.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// See Stream. The deadline costs one timer a stream, re-armed only when it fires early.
class TcpStream final : public Stream {
 public:
  enum class Socket {
    kConnected,    // It is made non-blocking, and TCP made to send at once.
    kNonBlocking,  // Connected, and both was done where it was made.
    kConnecting,   // The same but for that: WaitWritable ends with the attempt.
  };
  TcpStream(boost::asio::io_context& context, UniqueFd fd, Socket socket = Socket::kConnected);
  ~TcpStream() override;

  Task<absl::StatusOr<size_t>> Read(std::span<char> buffer) override;
  Task<absl::Status> Write(std::span<const std::string_view> pieces) override;
  Task<absl::Status> ShutdownWrite() override;
  void Close(How how) override;
  void SetDeadline(SteadyTime deadline) override;
  bool ReadableNow() override;
  bool MayBeReadable() override;
  // OK when the socket is readable, also for code that calls recv(2) itself.
  Task<absl::Status> WaitReadable() override;
  // Nothing has come to be read, as far as the event loop has told in its present pass. Costs no
  // system call. False: ReadableNow knows.
  bool SeemsQuiet() const;
  void OnHangUp(std::function<void(HangUp)> callback) override;

  // Whoever waited for the socket goes on when it is its container's turn; else at once.
  void UseTurns(std::shared_ptr<TurnShare> turns);

  int native_handle();
  // As recv(2), for code that reads by itself: what is there, without a wait. Asks the kernel only
  // if there may be something.
  ssize_t ReceiveNow(std::span<char> buffer);
  // Somebody's call of recv(2) or splice(2) has found nothing to read.
  void NoteDrained();
  // TCP only. What the peer does not acknowledge for so long, be it gone or without room for it,
  // ends the connection: by itself the kernel tries again for a quarter of an hour.
  void LimitSilence(std::chrono::milliseconds limit);
  // Of the two ends of a socket pair, where the kernel knows no reset: a relay that reads from one
  // knows the other's by this.
  static void ShareResets(TcpStream& one, TcpStream& other);
  // Whether the other end was closed by a reset.
  bool other_was_reset() const;
  // Its share of a budget, given back with the stream, which may outlive everything else that
  // knows the budget.
  void Keep(Gauge::Token token, std::shared_ptr<const void> budget) {
    budget_ = std::move(budget);
    token_ = std::move(token);
  }
  // OK when the socket is writable, for code that calls send(2) itself.
  Task<absl::Status> WaitWritable();

  struct State;  // Kept alive by pending operations.

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<const void> budget_;
  Gauge::Token token_;  // Of budget_.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TCP_STREAM_H_
