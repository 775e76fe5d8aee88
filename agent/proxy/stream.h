// A connected byte stream: TCP, TLS, or in memory (tests).

#ifndef SALLYPORT_AGENT_PROXY_STREAM_H_
#define SALLYPORT_AGENT_PROXY_STREAM_H_

#include <chrono>
#include <functional>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

using SteadyTime = std::chrono::steady_clock::time_point;

// How a peer ends a connection that nobody reads from.
enum class HangUp : uint8_t {
  kHalf,  // It sends no more. It may still read, or not: TCP does not tell.
  kWhole,
};

// Belongs to one worker. At most one Read and one Write may be under way at a time; the two may
// overlap.
class Stream {
 public:
  virtual ~Stream() = default;

  // Reads at least one byte; 0 is a clean end (FIN; for TLS: close_notify). DEADLINE_EXCEEDED if
  // the deadline passed, UNAVAILABLE if the peer reset, DATA_LOSS for a TLS stream that ended
  // without close_notify or carried bad records.
  virtual Task<absl::StatusOr<size_t>> Read(std::span<char> buffer) = 0;
  // Writes every byte of every piece, in order. What need not wait is done before the task is
  // awaited; the pieces, and their array, stay with the caller until it is over.
  virtual Task<absl::Status> Write(std::span<const std::string_view> pieces) = 0;
  // Ends the writing direction (FIN; for TLS: close_notify and FIN).
  virtual Task<absl::Status> ShutdownWrite() = 0;
  // Ends both directions at once. Pending operations fail with CANCELLED. kReset: the peer sees an
  // error, never a clean end (RST; TLS without close_notify). Idempotent.
  enum class How { kGraceful, kReset };
  virtual void Close(How how) = 0;
  // Every operation that is pending at, or begun after, `deadline` fails with DEADLINE_EXCEEDED.
  // Cheap: may be set before each read. SteadyTime::max(): none.
  virtual void SetDeadline(SteadyTime deadline) = 0;
  // Whether a Read would return at once: bytes are there, or the end, or an error. For a pooled
  // connection, on which nothing may arrive. REQUIRES: no Read is under way.
  virtual bool ReadableNow() = 0;
  // False: a Read would have to wait. Costs no system call; a guess where that is not known. For
  // whoever would rather hold no buffer meanwhile, and waits by WaitReadable.
  virtual bool MayBeReadable() { return true; }
  // Waits until a Read may find something. May be over before: what has come may be less than it
  // takes. Errors as of Read, which it is in the place of.
  virtual Task<absl::Status> WaitReadable() { return absl::OkStatus(); }
  // Has `callback` called when the peer hangs up, whatever it has sent before and nobody has read:
  // from the event loop, or within this call if it is known already; more than once if there is
  // more to tell. Null: nothing is called. Some streams never tell.
  virtual void OnHangUp(std::function<void(HangUp)>) {}
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_STREAM_H_
