// One end of an HTTP/2 connection (RFC 9113): bytes in, bytes out, streams between. No I/O of its
// own.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_SESSION_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_SESSION_H_

#include <nghttp2/nghttp2.h>

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "agent/proxy/event.h"
#include "agent/proxy/head_room.h"
#include "agent/proxy/http/h2_budget.h"
#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/http/h2_stream.h"

namespace sallyport::proxy {

// RFC 9113 section 7.
enum class H2Error : uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kFlowControlError = 0x3,
  kRefusedStream = 0x7,
  kCancel = 0x8,
  kEnhanceYourCalm = 0xb,
};

// Belongs to one worker. Flow control: a stream's window is given back as its reader consumes, so
// that a stream holds at most its window, which is made larger if its reader is through with it in
// less than a round trip may take; the connection's is given back as bytes come, so that a
// stream that nobody reads does not hold up the others, up to H2Limits::unread_bytes. A write waits
// until the peer's windows took it. Streams whose messages break RFC 9113 section 8 are reset here
// and never seen, or fail if they were.
class H2Session {
 public:
  enum class Role { kServer, kClient };
  // `budget` has room for large header blocks, is told what the peer tries beyond `limits`, and
  // outlives this; null: nobody counts.
  H2Session(boost::asio::io_context& context, Role role, const H2Limits& limits,
            ContainerBudget* budget = nullptr);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  boost::asio::io_context& context() const { return context_; }

  // Bytes from the peer. An error: the session has failed; TakeOutput may still have last words.
  absl::Status OnInput(std::string_view bytes);
  // Appends what is to be sent, until there is no more, or `out` has `enough` bytes or a frame
  // more.
  void TakeOutput(size_t enough, std::string* out);
  // Notified whenever TakeOutput may have something, and when finished() may have become true.
  Event& output_ready() { return output_ready_; }

  // Server: the streams whose request heads came in since the last call. A stream that was refused
  // for its head has failed (INVALID_ARGUMENT) and has none: it is reported once, for the record.
  std::vector<std::shared_ptr<H2Stream>> TakeNewStreams();
  // The stream's user has done with it. Until then a server's stream that the peer has reset counts
  // as open: what is done for it goes on.
  void Release(H2Stream& stream);

  // Called when nghttp2 has forgotten a stream, from within OnInput or TakeOutput: it may do no
  // more than to wake somebody.
  void set_on_stream_closed(std::function<void()> on_stream_closed) {
    on_stream_closed_ = std::move(on_stream_closed);
  }

  void set_hold_memory(HoldWindowMemory hold_memory) { hold_memory_ = std::move(hold_memory); }

  // Client: alive, and no GOAWAY came or was sent.
  bool usable() const;
  // Client: the peer has announced extended CONNECT (RFC 8441).
  bool peer_takes_websockets() const;
  // Client: whether a stream may be opened: alive, no GOAWAY, below the peer's and our own limit.
  bool accepts_streams() const;
  // Client: sends a request's head. `ends_stream`: nothing follows. REQUIRES: accepts_streams().
  std::shared_ptr<H2Stream> Open(const Headers& fields, bool ends_stream);

  // Server: a response's head, pseudo-header fields first: an interim one, or the final one.
  // `ends_stream`: nothing follows. Goes out with the next Wake or Send at the latest. No flow
  // control holds it up: a server that may send many interim ones waits for each to be out.
  enum class HeadKind { kInterim, kFinal };
  void SendHead(H2Stream& stream, const Headers& fields, HeadKind kind, bool ends_stream);
  // After `held`, `piece` or `end_after` was set: sends them as flow control lets.
  void Send(H2Stream& stream);
  // Sends what was given before.
  void Wake();
  // The reader has done with `bytes` of what it took from `unread`.
  void Consume(H2Stream& stream, size_t bytes);
  // From now on DATA is dropped as it comes, what is there included.
  void Discard(H2Stream& stream);
  // Ends the stream at once, and fails it with `status`. Idempotent.
  void Reset(H2Stream& stream, H2Error error, absl::Status status);

  // Server: the stream's request is none, though it is answered: it counts as a reset.
  void Blame(H2Stream& stream);

  // Server: GOAWAY that rules out no stream yet (RFC 9113 section 6.8), so that none that is on its
  // way is lost. Retire follows.
  void AnnounceRetirement();
  // GOAWAY. Streams that are open go on; new ones are not accepted.
  void Retire();
  // GOAWAY with `error`; every stream fails with `status`.
  void Terminate(H2Error error, const absl::Status& status);
  // Every stream fails with `status`: the connection is lost. The first time counts.
  void Fail(const absl::Status& status);

  // Nothing is left to do but to send what TakeOutput has and to close.
  bool finished() const { return failed_ || (retired_ && streams_.empty()); }
  // Whether the peer is in the middle of a header block, or has not yet sent its preface.
  bool awaits_head() const { return in_head_ || !greeted_; }
  size_t open_streams() const { return streams_.size(); }
  // What the peer may send over all streams before it is read.
  uint32_t connection_window() const { return connection_window_; }

 private:
  struct Callbacks;  // What nghttp2 calls: the On… methods, in h2_incoming.cc and h2_outgoing.cc.

  std::shared_ptr<H2Stream> Find(int32_t stream_id);
  void Start();
  static nghttp2_data_provider Provider(H2Stream* stream);
  // Into fields_.
  void Pack(const Headers& headers);
  void OnFrameBegins(const nghttp2_frame_hd& frame);
  void OnHeadBegins(int32_t stream_id);
  void OnField(int32_t stream_id, std::string_view name, std::string_view value);
  void OnHeadEnds(int32_t stream_id, bool ends_stream);
  void OnBadHead(int32_t stream_id);
  void OnData(int32_t stream_id, std::string_view bytes);
  void OnRemoteEnd(int32_t stream_id);
  void OnStreamClosed(int32_t stream_id, uint32_t error);
  void OnPeerReset(int32_t stream_id, uint32_t error);
  void OnGoAway(uint32_t error);
  void OnSent(const nghttp2_frame_hd& frame);
  void OnResetSent(int32_t stream_id, uint32_t error);
  // The next bytes of DATA; and their way into `output_`.
  ssize_t ReadOutgoing(H2Stream& stream, size_t length, uint32_t* flags);
  void AppendOutgoing(H2Stream& stream, size_t length);
  void FailStream(H2Stream& stream, absl::Status status);
  void EndAbusive(std::string_view what);
  void CountReset(std::string_view what);
  void CountExceeded(Limit limit);
  // The header block that is coming in has `more` bytes, or nghttp2 will hold so many of it.
  void CountBlock(size_t more);
  // Of the frames that `first` begins with, which are the session's first.
  void AnnounceStreams(char* first) const;
  // `bytes` of a stream were read.
  void GrowWindow(H2Stream& stream, size_t bytes);
  // Gives the connection's window back unless too much is unread.
  void GiveBackConnection();

  boost::asio::io_context& context_;
  const Role role_;
  const H2Limits limits_;
  H2Budget budget_;
  nghttp2_session* session_ = nullptr;
  absl::flat_hash_map<int32_t, std::shared_ptr<H2Stream>> streams_;
  std::function<void()> on_stream_closed_ = [] {};
  HoldWindowMemory hold_memory_;  // Null: no limit.
  uint32_t connection_window_;
  std::vector<std::shared_ptr<H2Stream>> new_streams_;
  size_t lingering_ = 0;
  // The header block that is coming in.
  H2Head block_;
  std::string cookie_;
  size_t block_bytes_ = 0;
  size_t block_fields_ = 0;
  size_t block_held_ = 0;
  HeadRoom block_room_;
  ContainerBudget* const container_budget_;
  size_t continuations_ = 0;
  bool in_head_ = false;
  std::vector<nghttp2_nv> fields_;  // Of the head being sent; kept for its memory.

  SteadyTime now_;                 // When OnInput or TakeOutput began.
  size_t unread_bytes_ = 0;        // Of all streams, what their readers hold included.
  size_t connection_owed_ = 0;     // DATA not yet given back to the connection's window.
  std::string* output_ = nullptr;  // While TakeOutput runs…
  size_t enough_ = 0;              // …until it has so many bytes.
  bool http1_required_ = false;    // A GOAWAY said so.
  bool announced_ = false;         // Our first SETTINGS are out.
  bool greeted_ = false;
  bool failed_ = false;
  bool broken_ = false;  // nghttp2's state is lost: it must not be used again.
  bool retired_ = false;
  bool terminated_ = false;  // Input is no longer looked at.
  Event output_ready_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_SESSION_H_
