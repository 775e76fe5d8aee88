// What nghttp2 calls. These may submit frames, and never receive or send.

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/serialize.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// nghttp2's own limit is behind ours, which says GOAWAY first.
constexpr size_t kMaxContinuations = 64;
// A header list that is so many times too large is no mistake: it is not worth an answer.
constexpr size_t kAbsurd = 4;
constexpr size_t kFieldOverhead = 32;
// Of one answer: its reader takes no more interim heads than this either.
constexpr size_t kMaxUnreadHeads = 17;

std::string_view Text(const uint8_t* bytes, size_t length) {
  return std::string_view(reinterpret_cast<const char*>(bytes), length);
}

bool EndsStream(const nghttp2_frame_hd& frame) {
  return (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

// ":status: 1xx".
bool IsInterim(const Headers& fields) {
  const std::string* status = fields.Find(":status");
  return status != nullptr && status->starts_with('1');
}

}  // namespace

struct H2Session::Callbacks {
  static H2Session& Self(void* user_data) { return *static_cast<H2Session*>(user_data); }

  static int OnFrameBegins(nghttp2_session*, const nghttp2_frame_hd* frame, void* user_data) {
    Self(user_data).OnFrameBegins(*frame);
    return 0;
  }
  static int OnHeadBegins(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Self(user_data).OnHeadBegins(frame->hd.stream_id);
    return 0;
  }
  static int OnField(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                     size_t name_length, const uint8_t* value, size_t value_length, uint8_t,
                     void* user_data) {
    Self(user_data).OnField(frame->hd.stream_id, Text(name, name_length),
                            Text(value, value_length));
    return 0;
  }
  // nghttp2 would leave such a field out; RFC 9113 section 8.2.1 calls the message malformed.
  static int OnBadField(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t,
                        const uint8_t*, size_t, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    H2Session& self = Self(user_data);
    const int32_t id = frame->hd.stream_id;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        self.OnHeadEnds(id, EndsStream(frame->hd));
        break;
      case NGHTTP2_DATA:
        if (EndsStream(frame->hd)) self.OnRemoteEnd(id);
        break;
      case NGHTTP2_RST_STREAM:
        self.OnPeerReset(id, frame->rst_stream.error_code);
        break;
      default:
        break;
    }
    return 0;
  }
  static int OnBadFrame(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) {
    if (frame->hd.type == NGHTTP2_HEADERS) Self(user_data).OnBadHead(frame->hd.stream_id);
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* bytes,
                    size_t length, void* user_data) {
    Self(user_data).OnData(stream_id, Text(bytes, length));
    return 0;
  }
  static int OnClosed(nghttp2_session*, int32_t stream_id, uint32_t error, void* user_data) {
    Self(user_data).OnStreamClosed(stream_id, error);
    return 0;
  }
  static int OnSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    H2Session& self = Self(user_data);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
      self.OnResetSent(frame->hd.stream_id, frame->rst_stream.error_code);
    self.OnSent(frame->hd);
    return 0;
  }
  static ssize_t ReadOutgoing(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                              nghttp2_data_source* source, void* user_data) {
    return Self(user_data).ReadOutgoing(*static_cast<H2Stream*>(source->ptr), length, flags);
  }
  static int SendOutgoing(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_head,
                          size_t length, nghttp2_data_source* source, void* user_data) {
    constexpr size_t kFrameHeadBytes = 9;
    H2Session& self = Self(user_data);
    self.output_->append(Text(frame_head, kFrameHeadBytes));
    self.AppendOutgoing(*static_cast<H2Stream*>(source->ptr), length);
    self.budget_.OnUsefulFrame(self.now_);
    return self.output_->size() < self.enough_ ? 0 : NGHTTP2_ERR_PAUSE;
  }
};

void H2Session::Start() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, Callbacks::OnFrameBegins);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::OnHeadBegins);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnField);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, Callbacks::OnBadField);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::OnBadFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::OnClosed);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::OnSent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::SendOutgoing);
  nghttp2_option* options = nullptr;
  nghttp2_option_new(&options);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_max_continuations(options, kMaxContinuations);
  const auto create =
      role_ == Role::kServer ? nghttp2_session_server_new2 : nghttp2_session_client_new2;
  create(&session_, callbacks, this, options);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);
}

nghttp2_data_provider H2Session::Provider(H2Stream* stream) {
  nghttp2_data_provider provider;
  provider.source.ptr = stream;
  provider.read_callback = Callbacks::ReadOutgoing;
  return provider;
}

std::shared_ptr<H2Stream> H2Session::Find(int32_t stream_id) {
  const auto found = streams_.find(stream_id);
  return found == streams_.end() ? nullptr : found->second;
}

void H2Session::OnFrameBegins(const nghttp2_frame_hd& frame) {
  greeted_ = true;
  bool within = true;
  switch (frame.type) {
    case NGHTTP2_HEADERS:
      continuations_ = 0;
      budget_.OnUsefulFrame(now_);
      break;
    case NGHTTP2_CONTINUATION:
      within = ++continuations_ <= limits_.continuations;
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

void H2Session::OnHeadBegins(int32_t stream_id) {
  in_head_ = true;
  block_ = H2Head{};
  cookie_.clear();
  block_bytes_ = block_fields_ = 0;
  if (role_ == Role::kClient || streams_.contains(stream_id) || terminated_) return;
  if (streams_.size() + lingering_ >= limits_.streams || retired_) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM);
    return;
  }
  auto stream = std::make_shared<H2Stream>(context_);
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
  block_bytes_ += name.size() + value.size() + kFieldOverhead;
  if (!cookie || cookie_.empty()) ++block_fields_;
  if (block_bytes_ > kAbsurd * limits_.head_bytes) EndAbusive("sends an absurd header list");
  block_.too_large =
      block_.too_large || block_bytes_ > max_bytes || block_fields_ > limits_.field_count;
  if (block_.too_large) return;
  if (cookie) {
    if (!cookie_.empty()) cookie_ += "; ";
    cookie_ += value;
  } else {
    block_.fields.Add(name, value);
  }
}

void H2Session::OnHeadEnds(int32_t stream_id, bool ends_stream) {
  in_head_ = false;
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream == nullptr || terminated_) return;
  block_.ends_stream = ends_stream;
  if (!cookie_.empty()) block_.fields.Add("cookie", cookie_);
  if (stream->head_complete) {
    if (block_.too_large) {
      Reset(*stream, H2Error::kProtocolError, absl::InvalidArgumentError("trailers: too large"));
      return;
    }
    stream->trailers = std::move(block_.fields);
    stream->trailers.RemoveIf([](const Header& field) { return IsForbiddenTrailer(field.name); });
  } else {
    stream->head_complete = role_ == Role::kServer || !IsInterim(block_.fields);
    stream->heads.push_back(std::move(block_));
    if (stream->heads.size() > kMaxUnreadHeads) {
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
  if (!budget_.OnReset(now_)) EndAbusive("resets too many streams");
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream == nullptr) return;
  const std::string text = StrCat("the peer reset the stream: ", nghttp2_http2_strerror(error));
  FailStream(*stream, error == NGHTTP2_REFUSED_STREAM ? absl::UnavailableError(text)
                                                      : absl::DataLossError(text));
}

void H2Session::OnSent(const nghttp2_frame_hd& frame) {
  if (frame.type != NGHTTP2_HEADERS && frame.type != NGHTTP2_DATA) return;
  const auto found = streams_.find(frame.stream_id);
  if (found == streams_.end()) return;
  H2Stream& stream = *found->second;
  stream.head_sent = true;
  if (!EndsStream(frame)) return;
  stream.local_ended = true;
  stream.writable.Notify();
}

// Those that the trip asked for are not the peer's doing.
void H2Session::OnResetSent(int32_t stream_id, uint32_t error) {
  const std::shared_ptr<H2Stream> stream = Find(stream_id);
  if (stream != nullptr && stream->reset_here) return;
  if (error != NGHTTP2_NO_ERROR && !budget_.OnReset(now_)) EndAbusive("has too many streams reset");
}

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
    FailStream(*stream, absl::UnavailableError("the peer has not processed the stream"));
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
