#include "agent/proxy/handlers/fake_peer.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>

#include "agent/proxy/handlers/grpc_wire.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

std::vector<nghttp2_nv> Pack(const FakePeer::Fields& fields) {
  std::vector<nghttp2_nv> packed;
  for (const auto& [name, value] : fields) {
    packed.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                      value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  return packed;
}

}  // namespace

struct FakePeer::Callbacks {
  static FakePeer& Self(void* user_data) { return *static_cast<FakePeer*>(user_data); }

  static int OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_length, const uint8_t* value, size_t value_length, uint8_t,
                      void* user_data) {
    Self(user_data).streams_[frame->hd.stream_id].fields.emplace_back(
        std::string(reinterpret_cast<const char*>(name), name_length),
        std::string(reinterpret_cast<const char*>(value), value_length));
    return 0;
  }

  static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    FakePeer& self = Self(user_data);
    if (frame->hd.stream_id != 0) {
      Seen& seen = self.streams_[frame->hd.stream_id];
      if (frame->hd.type == NGHTTP2_RST_STREAM) seen.reset = frame->rst_stream.error_code;
      const bool data = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
      if (data && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) seen.ended = true;
    }
    self.changed_.Notify();
    return 0;
  }

  static int OnData(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* bytes,
                    size_t length, void* user_data) {
    FakePeer& self = Self(user_data);
    self.streams_[stream].bytes.append(reinterpret_cast<const char*>(bytes), length);
    if (self.options_.open_windows) nghttp2_session_consume(session, stream, length);
    self.changed_.Notify();
    return 0;
  }

  static ssize_t ReadOutgoing(nghttp2_session* session, int32_t stream, uint8_t* buffer,
                              size_t length, uint32_t* flags, nghttp2_data_source*,
                              void* user_data) {
    FakePeer& self = Self(user_data);
    Outgoing& outgoing = self.outgoing_[stream];
    const size_t count = std::min(length, outgoing.bytes.size());
    std::copy_n(outgoing.bytes.data(), count, buffer);
    outgoing.bytes.erase(0, count);
    self.streams_[stream].sent_bytes += count;
    self.changed_.Notify();
    if (!outgoing.bytes.empty()) return static_cast<ssize_t>(count);
    if (outgoing.end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!outgoing.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const std::vector<nghttp2_nv> packed = Pack(outgoing.trailers);
        nghttp2_submit_trailer(session, stream, packed.data(), packed.size());
      }
    } else if (count == 0) {
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(count);
  }
};

std::shared_ptr<FakePeer> FakePeer::Start(boost::asio::io_context& context,
                                          std::unique_ptr<Stream> stream, Options options) {
  std::shared_ptr<FakePeer> peer(new FakePeer(context, std::move(stream), options));
  proxy::Spawn(context, ReadLoop(peer));
  proxy::Spawn(context, WriteLoop(peer));
  return peer;
}

FakePeer::FakePeer(boost::asio::io_context& context, std::unique_ptr<Stream> stream,
                   Options options)
    : stream_(std::move(stream)), options_(options), changed_(context), output_ready_(context) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::OnHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::OnData);
  nghttp2_option* no_windows = nullptr;
  nghttp2_option_new(&no_windows);
  nghttp2_option_set_no_auto_window_update(no_windows, 1);
  nghttp2_session_server_new2(&session_, callbacks, this, no_windows);
  nghttp2_option_del(no_windows);
  nghttp2_session_callbacks_del(callbacks);
  const std::array<nghttp2_settings_entry, 1> settings = {
      {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.max_streams}}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
}

FakePeer::~FakePeer() { nghttp2_session_del(session_); }

void FakePeer::SendHeaders(int32_t stream, const Fields& fields, bool end) {
  const std::vector<nghttp2_nv> packed = Pack(fields);
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::ReadOutgoing;
  nghttp2_submit_response(session_, stream, packed.data(), packed.size(), end ? nullptr : &body);
  output_ready_.Notify();
}

void FakePeer::SendBytes(int32_t stream, std::string_view bytes) {
  outgoing_[stream].bytes.append(bytes);
  Resume(stream);
}

void FakePeer::SendMessage(int32_t stream, const v1::HandleResponse& message) {
  std::string bytes;
  AppendGrpcMessage(message, &bytes).IgnoreError();
  SendBytes(stream, bytes);
}

void FakePeer::SendTrailers(int32_t stream, const Fields& trailers) {
  outgoing_[stream].end = true;
  outgoing_[stream].trailers = trailers;
  Resume(stream);
}

void FakePeer::EndWithoutTrailers(int32_t stream) { SendTrailers(stream, {}); }

void FakePeer::SendReset(int32_t stream, uint32_t error) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, error);
  output_ready_.Notify();
}

void FakePeer::SendGoaway(int32_t last_stream, uint32_t error) {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last_stream, error, nullptr, 0);
  output_ready_.Notify();
}

void FakePeer::Close(Stream::How how) { stream_->Close(how); }

std::vector<v1::HandleRequest> FakePeer::Messages(int32_t stream) {
  GrpcDecoder decoder;
  decoder.Append(streams_[stream].bytes).IgnoreError();
  std::vector<v1::HandleRequest> messages;
  while (const auto bytes = decoder.Next()) {
    messages.emplace_back().ParseFromArray(bytes->data(), static_cast<int>(bytes->size()));
  }
  return messages;
}

void FakePeer::Resume(int32_t stream) {
  nghttp2_session_resume_data(session_, stream);
  output_ready_.Notify();
}

Task<void> FakePeer::ReadLoop(std::shared_ptr<FakePeer> self) {
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const absl::StatusOr<size_t> count = co_await self->stream_->Read(buffer);
    if (!count.ok() || *count == 0) break;
    nghttp2_session_mem_recv(self->session_, reinterpret_cast<const uint8_t*>(buffer.data()),
                             *count);
    self->output_ready_.Notify();
  }
  self->ended_ = true;
  self->stream_->Close(Stream::How::kGraceful);
  self->changed_.Notify();
  self->output_ready_.Notify();
}

Task<void> FakePeer::WriteLoop(std::shared_ptr<FakePeer> self) {
  while (!self->ended_) {
    self->output_ready_.Reset();
    const uint8_t* bytes = nullptr;
    const ssize_t length = nghttp2_session_mem_send(self->session_, &bytes);
    if (length <= 0) {
      const absl::Status woken = co_await self->output_ready_.Wait(SteadyTime::max());
      woken.IgnoreError();
      continue;
    }
    const std::string frame(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
    const std::array<std::string_view, 1> pieces = {frame};
    const absl::Status written = co_await self->stream_->Write(pieces);
    if (!written.ok()) break;
  }
}

}  // namespace sallyport::proxy
