// What becomes of what is sent. Called by nghttp2: these may submit frames, and never receive or
// send.

#include <algorithm>

#include "agent/proxy/http/h2_flags.h"
#include "agent/proxy/http/h2_session.h"

namespace sallyport::proxy {

void H2Session::OnSent(const nghttp2_frame_hd& frame) {
  if (frame.type != NGHTTP2_HEADERS && frame.type != NGHTTP2_DATA) return;
  const auto found = streams_.find(frame.stream_id);
  if (found == streams_.end()) return;
  H2Stream& stream = *found->second;
  stream.head_sent = true;
  // They go before every other frame of their stream.
  if (stream.interim_heads > 0) {
    --stream.interim_heads;
    stream.writable.Notify();
  }
  if (!EndsStream(frame)) return;
  stream.local_ended = true;
  stream.writable.Notify();
}

// Those that the trip asked for are not the peer's doing.
void H2Session::OnResetSent(int32_t stream_id, uint32_t error) {
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream != nullptr && stream->reset_here) return;
  if (error != NGHTTP2_NO_ERROR) CountReset("has too many streams reset");
}

ssize_t H2Session::ReadOutgoing(H2Stream& stream, size_t length, uint32_t* flags) {
  const size_t count = std::min(length, stream.outgoing());
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (count < stream.outgoing()) return static_cast<ssize_t>(count);
  if (stream.end_after) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!stream.trailers_out.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      Pack(stream.trailers_out);
      nghttp2_submit_trailer(session_, stream.id, fields_.data(), fields_.size());
    }
  } else if (count == 0) {
    stream.waiting = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  return static_cast<ssize_t>(count);
}

void H2Session::AppendOutgoing(H2Stream& stream, size_t length) {
  stream.sent_bytes += length;
  const size_t held = std::min(length, stream.held.size() - stream.held_taken);
  output_->append(stream.held, stream.held_taken, held);
  stream.held_taken += held;
  output_->append(stream.piece.substr(0, length - held));
  stream.piece.remove_prefix(length - held);
  if (stream.outgoing() > 0) return;
  stream.held.clear();
  stream.held_taken = 0;
  stream.writable.Notify();
}

}  // namespace sallyport::proxy
