#include "agent/proxy/handlers/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/proxy/handlers/not_processed.h"

namespace sallyport::proxy {
namespace {

constexpr uint32_t kStreamWindow = 256 * 1024;
constexpr int32_t kConnectionWindow = 1024 * 1024;
constexpr uint32_t kMaxHeaderListBytes = 16 * 1024;
constexpr size_t kMaxStreams = 256;
// How long a stream that needs no reset may take to end.
constexpr std::chrono::seconds kLingerTime{1};

nghttp2_nv Field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view Text(const uint8_t* bytes, size_t length) {
  return std::string_view(reinterpret_cast<const char*>(bytes), length);
}

absl::Status NotHttp2() { return absl::InternalError("the handler's bytes are not HTTP/2"); }

}  // namespace

// C callbacks. They may submit frames, and never send or receive.
struct Http2Session::Callbacks {
  static Http2Session& Self(void* user_data) { return *static_cast<Http2Session*>(user_data); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_length, const uint8_t* value, size_t value_length, uint8_t,
                      void* user_data) {
    CallState* call = Self(user_data).Find(frame->hd.stream_id);
    if (call != nullptr) call->response.OnField(Text(name, name_length), Text(value, value_length));
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Http2Session& self = Self(user_data);
    CallState* call = self.Find(frame->hd.stream_id);
    const bool headers = frame->hd.type == NGHTTP2_HEADERS;
    if (call == nullptr || (!headers && frame->hd.type != NGHTTP2_DATA)) return 0;
    if (headers) call->response.OnFieldsEnd();
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (end) call->response.OnEnd();
    // A stream that is let end by itself may well begin with headers.
    if (end || (headers && !call->abandoned)) self.AfterInput(*call, end);
    return 0;
  }

  static int OnData(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* bytes,
                    size_t length, void* user_data) {
    Http2Session& self = Self(user_data);
    self.connection_owed_ += length;
    CallState* call = self.Find(stream_id);
    if (call == nullptr) return 0;
    call->owed += length;
    call->response.OnData(Text(bytes, length));
    self.AfterInput(*call, false);
    return 0;
  }

  static int OnClose(nghttp2_session*, int32_t stream_id, uint32_t error, void* user_data) {
    Self(user_data).OnStreamClosed(stream_id, error);
    return 0;
  }

  static int BeforeSend(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    CallState* call = Self(user_data).Find(frame->hd.stream_id);
    if (call != nullptr && frame->hd.type == NGHTTP2_HEADERS) call->headers_out = true;
    return 0;
  }

  static ssize_t ReadOutgoing(nghttp2_session*, int32_t, uint8_t* buffer, size_t length,
                              uint32_t* flags, nghttp2_data_source* source, void*) {
    CallState& call = *static_cast<CallState*>(source->ptr);
    const size_t count = std::min(length, call.outgoing.size() - call.taken);
    std::copy_n(call.outgoing.data() + call.taken, count, buffer);
    call.taken += count;
    if (call.taken < call.outgoing.size()) return static_cast<ssize_t>(count);
    call.outgoing.clear();
    call.taken = 0;
    call.sent.Notify();
    if (call.half_close) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (count == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(count);
  }
};

Http2Session::Http2Session(boost::asio::io_context& context, std::string authority)
    : context_(context), authority_(std::move(authority)), output_ready_(context) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::OnClose);
  nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, Callbacks::BeforeSend);
  nghttp2_option* options = nullptr;
  nghttp2_option_new(&options);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_session_client_new2(&session_, callbacks, this, options);
  nghttp2_option_del(options);
  nghttp2_session_callbacks_del(callbacks);

  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, kMaxHeaderListBytes},
  }};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

absl::Status Http2Session::OnInput(std::string_view bytes) {
  if (broken_) return absl::InternalError("the HTTP/2 session is broken");
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) {
    broken_ = nghttp2_is_fatal(static_cast<int>(taken)) != 0;
  } else if (connection_owed_ > 0) {
    nghttp2_session_consume_connection(session_, std::exchange(connection_owed_, 0));
  }
  if (broken_ || nghttp2_session_want_write(session_) != 0) output_ready_.Notify();
  return taken >= 0 ? absl::OkStatus() : NotHttp2();
}

void Http2Session::TakeOutput(size_t enough, std::string* out) {
  while (!broken_ && out->size() < enough) {
    const uint8_t* bytes = nullptr;
    const ssize_t length = nghttp2_session_mem_send(session_, &bytes);
    if (length == 0) {
      // Its last word was sent: after a GOAWAY of either side no more is read.
      if (nghttp2_session_want_read(session_) == 0) Fail(NotHttp2());
      return;
    }
    if (length < 0) {
      broken_ = true;
      Fail(absl::InternalError(
          absl::StrCat("HTTP/2 to the handler: ", nghttp2_strerror(static_cast<int>(length)))));
      return;
    }
    out->append(Text(bytes, static_cast<size_t>(length)));
  }
}

bool Http2Session::accepts_calls() const {
  if (failed_ || retired_ || nghttp2_session_check_request_allowed(session_) == 0) return false;
  const size_t limit =
      nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return streams_.size() < std::min(limit, kMaxStreams);
}

std::shared_ptr<CallState> Http2Session::Open(std::string_view path,
                                              std::string_view identity_token) {
  ResetOverdue(std::chrono::steady_clock::now());
  auto call = std::make_shared<CallState>(context_);
  // The token is the last. It may be indexed (RFC 7541 section 7.1): a connection is one
  // container's, and nothing that it says is among these.
  const std::array<nghttp2_nv, 8> fields = {
      Field(":method", "POST"),
      Field(":scheme", "http"),
      Field(":path", path),
      Field(":authority", authority_),
      Field("te", "trailers"),
      Field("content-type", "application/grpc"),
      Field("user-agent", "sallyport-proxy/0.1"),
      Field("sallyport-identity", identity_token),
  };
  const size_t count = fields.size() - (identity_token.empty() ? 1 : 0);
  nghttp2_data_provider body;
  body.source.ptr = call.get();
  body.read_callback = Callbacks::ReadOutgoing;
  const int32_t id =
      nghttp2_submit_request(session_, nullptr, fields.data(), count, &body, nullptr);
  if (id < 0) {
    call->stream_closed = true;
    call->response.Fail(NotProcessedError("no stream could be opened"));
    return call;
  }
  call->stream_id = id;
  streams_[id] = call;
  ++callers_;
  output_ready_.Notify();
  return call;
}

void Http2Session::ResumeSending(CallState& call) {
  if (call.stream_closed || failed_) return;
  // Refused when the stream is not waiting for data; then it will ask by itself.
  nghttp2_session_resume_data(session_, call.stream_id);
  output_ready_.Notify();
}

void Http2Session::Consume(CallState& call, size_t bytes) {
  bytes = std::min(bytes, call.owed);
  if (bytes == 0 || call.stream_closed || failed_) return;
  call.owed -= bytes;
  nghttp2_session_consume_stream(session_, call.stream_id, bytes);
  if (nghttp2_session_want_write(session_) != 0) output_ready_.Notify();
}

void Http2Session::Cancel(CallState& call, absl::Status status) {
  call.response.Fail(std::move(status));
  call.readable.Notify();
  call.sent.Notify();
  Reset(call);
}

void Http2Session::Abandon(CallState& call) {
  if (call.abandoned) return;
  call.abandoned = true;
  const bool complete = call.complete || call.response.result().has_value();
  call.response.Fail(absl::CancelledError("the call was given up"));
  call.readable.Notify();
  call.sent.Notify();
  if (call.stream_closed) return;
  --callers_;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (complete && call.outgoing.empty() && !retired_) {
    call.half_close = true;
    ResumeSending(call);
    lingering_.push_back(Lingering{now, streams_[call.stream_id]});
  } else {
    Reset(call);
  }
  ResetOverdue(now);
}

void Http2Session::Retire() {
  retired_ = true;
  ResetOverdue(SteadyTime::max());
  output_ready_.Notify();
}

void Http2Session::Fail(const absl::Status& status) {
  if (failed_) return;
  failed_ = true;
  // Streams stay in the table: nghttp2 refers to their state.
  for (auto& [id, call] : streams_) {
    const bool unseen = absl::IsUnavailable(status) && !call->headers_out;
    call->response.Fail(unseen ? NotProcessedError(std::string_view(status.message().data(),
                                                                    status.message().size()))
                               : status);
    call->stream_closed = true;
    call->readable.Notify();
    call->sent.Notify();
  }
  callers_ = 0;
  output_ready_.Notify();
}

CallState* Http2Session::Find(int32_t stream_id) {
  const auto found = streams_.find(stream_id);
  return found == streams_.end() ? nullptr : found->second.get();
}

void Http2Session::OnStreamClosed(int32_t stream_id, uint32_t error) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  const std::shared_ptr<CallState> call = std::move(found->second);
  streams_.erase(found);
  if (!call->headers_out) {
    call->response.Fail(NotProcessedError("the handler takes no more calls on this connection"));
  } else if (error == NGHTTP2_REFUSED_STREAM) {
    call->response.Fail(NotProcessedError("the handler refused the call"));
  } else {
    call->response.Fail(
        absl::InternalError(absl::StrCat("the call was reset: ", nghttp2_http2_strerror(error))));
  }
  if (!call->stream_closed && !call->abandoned) --callers_;
  call->stream_closed = true;
  call->readable.Notify();
  call->sent.Notify();
  if (finished()) output_ready_.Notify();
}

void Http2Session::AfterInput(CallState& call, bool stream_ended) {
  call.readable.Notify();
  if (!call.response.result().has_value()) return;
  call.sent.Notify();
  // The answer is over though the handler goes on: it broke gRPC, or nobody listens.
  if (!stream_ended) Reset(call);
}

void Http2Session::Reset(CallState& call) {
  if (call.stream_closed || call.reset || failed_) return;
  call.reset = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, call.stream_id, NGHTTP2_CANCEL);
  output_ready_.Notify();
}

void Http2Session::ResetOverdue(SteadyTime now) {
  while (!lingering_.empty() && now - lingering_.front().since > kLingerTime) {
    if (const std::shared_ptr<CallState> call = lingering_.front().call.lock()) Reset(*call);
    lingering_.pop_front();
  }
}

}  // namespace sallyport::proxy
