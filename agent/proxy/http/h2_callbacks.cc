// What nghttp2 calls, and what it is told when a session begins.

#include "agent/proxy/http/h2_flags.h"
#include "agent/proxy/http/h2_session.h"

namespace sallyport::proxy {
namespace {

// nghttp2's own limit is behind ours, which says GOAWAY first.
constexpr size_t kMaxContinuations = 64;
// The frames that RFC 9113 defines come before.
constexpr int kFirstUnknownType = 0x0a;
constexpr int kLastType = 0xff;

std::string_view Text(const uint8_t* bytes, size_t length) {
  return std::string_view(reinterpret_cast<const char*>(bytes), length);
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
      case NGHTTP2_GOAWAY:
        self.OnGoAway(frame->goaway.error_code);
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
  // It has been counted, and is ignored (RFC 9113 section 4.1).
  static int OnUnknownFrame(nghttp2_session*, void**, const nghttp2_frame_hd*, void*) {
    return NGHTTP2_ERR_CANCEL;
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
  nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, Callbacks::OnUnknownFrame);
  nghttp2_option* options = nullptr;
  nghttp2_option_new(&options);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_max_continuations(options, kMaxContinuations);
  // Else nghttp2 would not tell of their beginning.
  for (int type = kFirstUnknownType; type <= kLastType; ++type)
    nghttp2_option_set_user_recv_extension_type(options, static_cast<uint8_t>(type));
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

}  // namespace sallyport::proxy
