// The client's end of one HTTP/2 connection that carries gRPC calls: bytes in, bytes out, no I/O of
// its own.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_HTTP2_SESSION_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_HTTP2_SESSION_H_

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "agent/proxy/event.h"
#include "agent/proxy/handlers/call_state.h"

struct nghttp2_session;

namespace sallyport::proxy {

// Belongs to one worker. Flow control: the connection's window is given back as bytes come, so that
// a call that nobody reads does not hold up the others; a stream's window is given back as its
// caller consumes. A session holds at most a stream's window and a message for each call, either
// way.
class Http2Session {
 public:
  static constexpr std::string_view kHandlePath = "/sallyport.v1.OutboundHandler/Handle";

  Http2Session(boost::asio::io_context& context, std::string authority);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  // Bytes from the peer. INTERNAL if the session cannot go on. Other breaches of HTTP/2 end every
  // call (INTERNAL) when TakeOutput has given out the GOAWAY that says so.
  absl::Status OnInput(std::string_view bytes);
  // Appends what is to be sent, until there is no more, or `out` has `enough` bytes or a frame
  // more.
  void TakeOutput(size_t enough, std::string* out);
  // Notified whenever TakeOutput may have something, and when finished() may have become true.
  Event& output_ready() { return output_ready_; }

  // Whether a call may begin: alive, no GOAWAY, below the peer's and our own limit of streams.
  bool accepts_calls() const;
  // A call of the method with this path. `identity_token` becomes the metadata
  // `sallyport-identity`; empty: none. REQUIRES: accepts_calls().
  std::shared_ptr<CallState> Open(std::string_view path = kHandlePath,
                                  std::string_view identity_token = {});
  // After `outgoing` or `half_close` was set.
  void ResumeSending(CallState& call);
  // Gives up to `bytes` of the stream's window back.
  void Consume(CallState& call, size_t bytes);
  // Ends the call with `status`; RST_STREAM (CANCEL) if the stream is open.
  void Cancel(CallState& call, absl::Status status);
  // The caller has gone. A stream whose answer is complete is half-closed and let end by itself, so
  // that a handler that counts resets sees none in the ordinary course; others are reset.
  void Abandon(CallState& call);

  // No further calls; finished() when the last has ended. Abandoned ones are reset.
  void Retire();
  // Ends every call with `status` (the first time). No further calls.
  void Fail(const absl::Status& status);
  // Nothing is left to do but to send what TakeOutput has and to close.
  bool finished() const { return failed_ || (retired_ && streams_.empty()); }
  size_t calls_in_flight() const { return callers_; }

 private:
  struct Callbacks;  // What nghttp2 calls.

  CallState* Find(int32_t stream_id);
  void OnStreamClosed(int32_t stream_id, uint32_t error);
  // After something came from the handler: wakes the caller, or resets a stream that is of no more
  // use.
  void AfterInput(CallState& call, bool stream_ended);
  void Reset(CallState& call);
  void ResetOverdue(SteadyTime now);

  boost::asio::io_context& context_;
  const std::string authority_;
  nghttp2_session* session_ = nullptr;
  absl::flat_hash_map<int32_t, std::shared_ptr<CallState>> streams_;
  size_t callers_ = 0;  // Streams that are not abandoned.
  // Abandoned streams that may still end by themselves, and when that began.
  struct Lingering {
    SteadyTime since;
    std::weak_ptr<CallState> call;
  };
  std::deque<Lingering> lingering_;
  size_t connection_owed_ = 0;  // Bytes of DATA not yet given back to the connection's window.
  bool failed_ = false;
  bool broken_ = false;  // nghttp2's state is lost: it must not be used again.
  bool retired_ = false;
  Event output_ready_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_HTTP2_SESSION_H_
