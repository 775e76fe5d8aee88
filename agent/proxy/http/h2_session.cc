// What the session's users call.

#include "agent/proxy/http/h2_session.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace sallyport::proxy {
namespace {

// nghttp2 ends the connection of a peer that opens more streams than were announced. Up to so many
// times as many, only the stream is refused (RFC 9113 section 5.1.2), in OnHeadBegins: the peer may
// have miscounted.
constexpr uint32_t kStreamsTolerance = 2;
// A window that is read through in less time may be what the peer waits for.
constexpr std::chrono::milliseconds kRoundTrip{500};

nghttp2_nv Field(const Header& field) {
  const auto bytes = [](const std::string& text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  // nghttp2 copies both, and turns the name into lower case.
  return nghttp2_nv{bytes(field.name), bytes(field.value), field.name.size(), field.value.size(),
                    NGHTTP2_NV_FLAG_NONE};
}

// What becomes of a stream whose connection is lost.
absl::Status Lost(const H2Stream& stream, const absl::Status& status) {
  if (stream.head_sent) return absl::DataLossError(status.message());
  return absl::AbortedError(status.message());
}

}  // namespace

H2Session::H2Session(boost::asio::io_context& context, Role role, const H2Limits& limits,
                     ContainerBudget* budget)
    : context_(context),
      role_(role),
      limits_(limits),
      budget_(limits),
      connection_window_(limits.connection_window),
      block_room_(budget, limits.head_bytes),
      container_budget_(budget),
      now_(std::chrono::steady_clock::now()),
      greeted_(role == Role::kClient),
      output_ready_(context) {
  Start();
  std::vector<nghttp2_settings_entry> settings = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
       role == Role::kServer ? kStreamsTolerance * limits_.streams : 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits_.head_bytes)},
  };
  if (role == Role::kServer) {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
    settings.push_back({NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1});
  } else {
    settings.push_back({NGHTTP2_SETTINGS_ENABLE_PUSH, 0});
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits_.connection_window));
  Wake();
}

H2Session::~H2Session() { nghttp2_session_del(session_); }

absl::Status H2Session::OnInput(std::string_view bytes) {
  if (broken_ || failed_ || terminated_) return absl::UnavailableError("the session has ended");
  now_ = std::chrono::steady_clock::now();
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) {
    broken_ = nghttp2_is_fatal(static_cast<int>(taken)) != 0;
    const absl::Status failure =
        absl::InvalidArgumentError(std::string("the peer's bytes are not HTTP/2: ") +
                                   nghttp2_strerror(static_cast<int>(taken)));
    Fail(failure);
    return failure;
  }
  GiveBackConnection();
  if (nghttp2_session_want_write(session_) != 0) Wake();
  if (terminated_) return absl::ResourceExhaustedError("the peer makes too much work");
  return absl::OkStatus();
}

void H2Session::TakeOutput(size_t enough, std::string* out) {
  now_ = std::chrono::steady_clock::now();
  const size_t first = out->size();
  output_ = out;
  enough_ = enough;
  while (!broken_ && out->size() < enough) {
    const uint8_t* bytes = nullptr;
    const ssize_t length = nghttp2_session_mem_send(session_, &bytes);
    if (length > 0) {
      out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
      continue;
    }
    if (length < 0) {
      broken_ = true;
      Fail(absl::InternalError(std::string("HTTP/2 cannot be sent: ") +
                               nghttp2_strerror(static_cast<int>(length))));
    } else if (out->size() < enough && nghttp2_session_want_read(session_) == 0) {
      // Its last word is among the output: after such a GOAWAY nothing is read.
      Fail(absl::InvalidArgumentError("the peer broke HTTP/2"));
    }
    break;
  }
  output_ = nullptr;
  if (role_ == Role::kServer && !announced_ && out->size() > first) {
    announced_ = true;
    AnnounceStreams(out->data() + first);
  }
}

// Over what nghttp2 believes to have announced.
void H2Session::AnnounceStreams(char* first) const {
  constexpr size_t kFrameHeadBytes = 9;
  constexpr size_t kIdentifierBytes = 2;
  for (size_t i = 0; i < sizeof(uint32_t); ++i) {
    first[kFrameHeadBytes + kIdentifierBytes + i] =
        static_cast<char>(limits_.streams >> (8 * (sizeof(uint32_t) - 1 - i)));
  }
}

std::vector<std::shared_ptr<H2Stream>> H2Session::TakeNewStreams() {
  return std::exchange(new_streams_, {});
}

bool H2Session::usable() const {
  return !failed_ && !retired_ && nghttp2_session_check_request_allowed(session_) != 0;
}

bool H2Session::peer_takes_websockets() const {
  return !failed_ && nghttp2_session_get_remote_settings(
                         session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool H2Session::accepts_streams() const {
  if (!usable()) return false;
  const size_t limit =
      nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return streams_.size() < std::min<size_t>(limit, limits_.streams);
}

std::shared_ptr<H2Stream> H2Session::Open(const Headers& fields, bool ends_stream) {
  auto stream = std::make_shared<H2Stream>(context_);
  stream->window = limits_.stream_window;
  Pack(fields);
  nghttp2_data_provider body = Provider(stream.get());
  const int32_t id = nghttp2_submit_request(session_, nullptr, fields_.data(), fields_.size(),
                                            ends_stream ? nullptr : &body, nullptr);
  if (id < 0) {
    stream->closed = true;
    FailStream(*stream, absl::UnavailableError("the connection takes no further stream"));
    return stream;
  }
  stream->id = id;
  stream->end_after = ends_stream;
  streams_[id] = stream;
  return stream;
}

void H2Session::SendHead(H2Stream& stream, const Headers& fields, HeadKind kind, bool ends_stream) {
  if (!stream.failure.ok() || stream.closed || failed_) return;
  Pack(fields);
  if (kind == HeadKind::kInterim) {
    ++stream.interim_heads;
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, fields_.data(),
                           fields_.size(), nullptr);
    return;
  }
  nghttp2_data_provider body = Provider(&stream);
  nghttp2_submit_response(session_, stream.id, fields_.data(), fields_.size(),
                          ends_stream ? nullptr : &body);
  stream.end_after = ends_stream;
}

void H2Session::Send(H2Stream& stream) {
  if (stream.waiting && !stream.closed && !failed_) {
    stream.waiting = false;
    nghttp2_session_resume_data(session_, stream.id);
  }
  Wake();
}

void H2Session::Wake() {
  if (!output_ready_.notified()) output_ready_.Notify();
}

void H2Session::Consume(H2Stream& stream, size_t bytes) {
  bytes = std::min(bytes, stream.owed);
  if (bytes == 0) return;
  stream.owed -= bytes;
  unread_bytes_ -= bytes;
  if (failed_) return;
  if (!stream.closed) {
    nghttp2_session_consume_stream(session_, stream.id, bytes);
    if (!stream.discard && stream.window < limits_.max_stream_window) GrowWindow(stream, bytes);
  }
  GiveBackConnection();
  if (nghttp2_session_want_write(session_) != 0) Wake();
}

// A stream carries no more than its window in a round trip.
void H2Session::GrowWindow(H2Stream& stream, size_t bytes) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (stream.read_of_window == 0) stream.read_since = now;
  stream.read_of_window += bytes;
  if (stream.read_of_window < stream.window) return;
  const bool soon = now - stream.read_since < kRoundTrip;
  stream.read_of_window = 0;
  if (!soon) return;
  const uint32_t larger = std::min(2 * stream.window, limits_.max_stream_window);
  if (hold_memory_ != nullptr) {
    std::shared_ptr<void> growth = hold_memory_(larger - limits_.stream_window);
    if (growth == nullptr) return;
    stream.growth = std::move(growth);
  }
  stream.window = larger;
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream.id,
                                        static_cast<int32_t>(larger));
  if (connection_window_ >= 2 * larger) return;
  connection_window_ = 2 * larger;
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(connection_window_));
}

void H2Session::Discard(H2Stream& stream) {
  stream.discard = true;
  stream.unread.clear();
  Consume(stream, stream.owed);
}

void H2Session::Release(H2Stream& stream) {
  Discard(stream);
  stream.growth = nullptr;
  stream.released = true;
  if (std::exchange(stream.lingering, false)) --lingering_;
}

void H2Session::Reset(H2Stream& stream, H2Error error, absl::Status status) {
  // One that has failed was reset by the peer, by nghttp2, or here.
  const bool was_well = stream.failure.ok();
  FailStream(stream, std::move(status));
  if (!was_well || stream.closed || failed_) return;
  stream.reset_here = true;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, static_cast<uint32_t>(error));
  Wake();
}

void H2Session::AnnounceRetirement() {
  if (retired_ || failed_) return;
  nghttp2_submit_shutdown_notice(session_);
  Wake();
}

void H2Session::Retire() {
  if (retired_ || failed_) return;
  retired_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  Wake();
}

void H2Session::Terminate(H2Error error, const absl::Status& status) {
  if (!failed_ && !terminated_)
    nghttp2_session_terminate_session(session_, static_cast<uint32_t>(error));
  terminated_ = true;
  Fail(status);
}

void H2Session::Fail(const absl::Status& status) {
  if (failed_) return;
  failed_ = true;
  // They stay in the table: nghttp2 refers to them.
  for (auto& [id, stream] : streams_) {
    FailStream(*stream, absl::IsUnavailable(status) ? Lost(*stream, status) : status);
    stream->closed = true;
  }
  Wake();
}

void H2Session::FailStream(H2Stream& stream, absl::Status status) {
  const bool first = stream.failure.ok();
  if (first) stream.failure = std::move(status);
  // What broke the rules is not passed on, and a writer that leaves takes its bytes with it.
  const bool unusable =
      absl::IsInvalidArgument(stream.failure) || absl::IsCancelled(stream.failure);
  if (unusable && !stream.remote_ended) stream.unread.clear();
  stream.held.clear();
  stream.held_taken = 0;
  stream.piece = {};
  stream.end_after = false;
  stream.readable.Notify();
  stream.writable.Notify();
  const std::function<void()> on_failure = std::exchange(stream.on_failure, nullptr);
  if (first && on_failure != nullptr) on_failure();
}

void H2Session::Blame(H2Stream& stream) {
  stream.blamed = true;
  CountReset("sends too many requests that are none");
}

void H2Session::Pack(const Headers& headers) {
  fields_.clear();
  for (const Header& field : headers.fields()) fields_.push_back(Field(field));
}

void H2Session::GiveBackConnection() {
  if (connection_owed_ == 0 || unread_bytes_ > limits_.unread_bytes) return;
  nghttp2_session_consume_connection(session_, std::exchange(connection_owed_, 0));
}

}  // namespace sallyport::proxy
