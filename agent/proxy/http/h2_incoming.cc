// What the peer's frames do. Called by nghttp2: these may submit frames, and never receive or send.

#include <chrono>
#include <utility>

#include "agent/proxy/http/h2_flags.h"
#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/serialize.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// A header list that is so many times too large is no mistake: it is not worth an answer.
constexpr size_t kAbsurd = 4;
constexpr size_t kFieldOverhead = 32;
// Of one answer: its reader takes no more interim heads than this either.
constexpr size_t kMaxUnreadHeads = 17;
// And of all of these together no more than so many of the largest that there may be: a reader
// whose client is slow leaves them where they are.
constexpr size_t kMaxLargestHeads = 2;

// Whether so many may wait for their reader. A single one has been looked at by itself.
bool MayWait(const std::vector<H2Head>& heads, const H2Limits& limits) {
  if (heads.size() == 1) return true;
  size_t bytes = 0;
  for (const H2Head& head : heads) bytes += head.bytes;
  return heads.size() <= kMaxUnreadHeads && bytes <= kMaxLargestHeads * limits.head_bytes;
}

// ":status: 1xx".
bool IsInterim(const Headers& fields) {
  const std::string* status = fields.Find(":status");
  return status != nullptr && status->starts_with('1');
}

}  // namespace

void H2Session::OnFrameBegins(const nghttp2_frame_hd& frame) {
  greeted_ = true;
  bool within = true;
  switch (frame.type) {
    case NGHTTP2_HEADERS:
      continuations_ = 0;
      block_held_ = 0;
      CountBlock(frame.length);
      budget_.OnUsefulFrame(now_);
      break;
    case NGHTTP2_CONTINUATION:
      within = ++continuations_ <= limits_.continuations;
      CountBlock(frame.length);
      break;
    case NGHTTP2_DATA:
      if (frame.length > 0) {
        budget_.OnUsefulFrame(now_);
      } else if (!EndsStream(frame)) {
        within = budget_.OnIdleFrame(now_);
      }
      break;
    case NGHTTP2_PRIORITY:
      // Otherwise nghttp2 does not look at it: we have said that we do not.
      if (frame.stream_id == 0) {
        Terminate(H2Error::kProtocolError, absl::InvalidArgumentError("PRIORITY on stream 0"));
      }
      within = budget_.OnIdleFrame(now_);
      break;
    case NGHTTP2_RST_STREAM:
      break;  // OnPeerReset.
    default:
      within = budget_.OnIdleFrame(now_);
      break;
  }
  if (!within) EndAbusive("sends frames that carry nothing");
}

void H2Session::EndAbusive(std::string_view what) {
  if (terminated_) return;
  Terminate(H2Error::kEnhanceYourCalm, absl::ResourceExhaustedError(StrCat("the peer ", what)));
}

void H2Session::CountReset(std::string_view what) {
  if (budget_.OnReset(now_) || terminated_) return;
  CountExceeded(Limit::kH2Resets);
  EndAbusive(what);
}

void H2Session::CountExceeded(Limit limit) {
  if (container_budget_ != nullptr) container_budget_->CountExceeded(limit);
}

// Field by field they go from the one to the other; a field that is not all there is nghttp2's.
void H2Session::CountBlock(size_t more) {
  block_held_ += more;
  if (block_room_.Has(block_held_) || terminated_) return;
  Terminate(H2Error::kEnhanceYourCalm,
            absl::ResourceExhaustedError("there is no room for the header list"));
}

void H2Session::OnHeadBegins(int32_t stream_id) {
  in_head_ = true;
  block_ = H2Head{};
  cookie_.clear();
  block_bytes_ = block_fields_ = 0;
  if (role_ == Role::kClient || streams_.contains(stream_id) || terminated_) return;
  const bool too_many = streams_.size() + lingering_ >= limits_.streams;
  if (too_many || retired_) {
    if (too_many) CountExceeded(Limit::kH2Streams);
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM);
    return;
  }
  auto stream = std::make_shared<H2Stream>(context_);
  stream->window = limits_.stream_window;
  stream->id = stream_id;
  streams_[stream_id] = std::move(stream);
}

void H2Session::OnField(int32_t stream_id, std::string_view name, std::string_view value) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end() || terminated_) return;
  const bool trailers = found->second->head_complete;
  const size_t max_bytes = trailers ? limits_.trailer_bytes : limits_.head_bytes;
  // Crumbs of one cookie (RFC 9113 section 8.2.3) are one field.
  const bool cookie = name == "cookie" && role_ == Role::kServer;
  const size_t bytes = name.size() + value.size() + kFieldOverhead;
  block_bytes_ += bytes;
  if (!cookie || cookie_.empty()) ++block_fields_;
  if (block_bytes_ > kAbsurd * limits_.head_bytes) EndAbusive("sends an absurd header list");
  if (block_.too_large) return;
  block_.too_large = block_bytes_ > max_bytes || block_fields_ > limits_.field_count;
  if (block_.too_large) {
    if (!trailers)
      CountExceeded(block_bytes_ > max_bytes ? Limit::kHeaderBytes : Limit::kHeaderCount);
    return;
  }
  CountBlock(bytes);
  if (cookie) {
    if (!cookie_.empty()) cookie_ += "; ";
    cookie_ += value;
  } else {
    block_.fields.Add(name, value);
  }
}

void H2Session::OnHeadEnds(int32_t stream_id, bool ends_stream) {
  in_head_ = false;
  block_room_.Release();
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream == nullptr || terminated_) return;
  block_.ends_stream = ends_stream;
  if (!cookie_.empty()) block_.fields.Add("cookie", cookie_);
  if (stream->head_complete) {
    if (block_.too_large) {
      Reset(*stream, H2Error::kProtocolError, absl::InvalidArgumentError("trailers: too large"));
      return;
    }
    // Which would tell where the message ends once more (RFC 9110 section 6.5.1).
    if (role_ == Role::kServer && block_.fields.Find("content-length") != nullptr) {
      Reset(*stream, H2Error::kProtocolError,
            absl::InvalidArgumentError("trailers: a content-length"));
      return;
    }
    stream->trailers = std::move(block_.fields);
    stream->trailers.RemoveIf([](const Header& field) { return IsForbiddenTrailer(field.name); });
  } else {
    stream->head_complete = role_ == Role::kServer || !IsInterim(block_.fields);
    block_.bytes = block_bytes_;
    stream->heads.push_back(std::move(block_));
    if (!MayWait(stream->heads, limits_)) {
      Reset(*stream, H2Error::kEnhanceYourCalm,
            absl::InvalidArgumentError("too many interim answers"));
      return;
    }
    if (role_ == Role::kServer) new_streams_.push_back(stream);
  }
  if (ends_stream) {
    OnRemoteEnd(stream_id);
  } else {
    stream->readable.Notify();
  }
}

// nghttp2 resets the stream.
void H2Session::OnBadHead(int32_t stream_id) {
  in_head_ = false;
  block_room_.Release();
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream == nullptr) return;
  FailStream(*stream,
             absl::InvalidArgumentError(stream->head_complete ? "trailers: malformed"
                                                              : "a malformed header list"));
  if (role_ == Role::kServer && !stream->head_complete && !terminated_)
    new_streams_.push_back(stream);
}

void H2Session::OnData(int32_t stream_id, std::string_view bytes) {
  connection_owed_ += bytes.size();
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  H2Stream& stream = *found->second;
  stream.received_bytes += bytes.size();
  stream.owed += bytes.size();
  unread_bytes_ += bytes.size();
  stream.readable.Notify();
  if (stream.discard || !stream.failure.ok()) {
    Consume(stream, bytes.size());
  } else {
    stream.unread.append(bytes);
  }
}

void H2Session::OnRemoteEnd(int32_t stream_id) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  found->second->remote_ended = true;
  found->second->readable.Notify();
}

void H2Session::OnPeerReset(int32_t stream_id, uint32_t error) {
  CountReset("resets too many streams");
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream == nullptr) return;
  const std::string text = StrCat("the peer reset the stream: ", nghttp2_http2_strerror(error));
  switch (error) {
    case NGHTTP2_REFUSED_STREAM:
      FailStream(*stream, absl::AbortedError(text));
      break;
    case NGHTTP2_HTTP_1_1_REQUIRED:
      FailStream(*stream, absl::FailedPreconditionError(text));
      break;
    default:
      FailStream(*stream, absl::DataLossError(text));
      break;
  }
}

// Streams that it does not process are closed behind it.
void H2Session::OnGoAway(uint32_t error) { http1_required_ = error == NGHTTP2_HTTP_1_1_REQUIRED; }

void H2Session::OnStreamClosed(int32_t stream_id, uint32_t error) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  const std::shared_ptr<H2Stream> stream = std::move(found->second);
  streams_.erase(found);
  stream->closed = true;
  if (error == NGHTTP2_NO_ERROR && stream->remote_ended && stream->local_ended) {
    if (!stream->blamed) budget_.OnCompleted(now_);
    stream->readable.Notify();
    stream->writable.Notify();
  } else if (error == NGHTTP2_REFUSED_STREAM) {
    const char* const text = "the peer has not processed the stream";
    FailStream(*stream,
               http1_required_ ? absl::FailedPreconditionError(text) : absl::AbortedError(text));
  } else {
    const std::string text = StrCat("the message is malformed: ", nghttp2_http2_strerror(error));
    FailStream(*stream, absl::InvalidArgumentError(text));
  }
  on_stream_closed_();
  if (role_ == Role::kServer && !stream->failure.ok() && !stream->released) {
    stream->lingering = true;
    ++lingering_;
  }
  if (finished()) Wake();
}

}  // namespace sallyport::proxy
