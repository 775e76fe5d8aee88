#include "agent/attach/oci/call_agent.h"

#include <google/protobuf/message_lite.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "absl/strings/numbers.h"
#include "agent/proxy/handlers/grpc_wire.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

using Clock = std::chrono::steady_clock;
using SessionPtr = std::unique_ptr<nghttp2_session, void (*)(nghttp2_session*)>;

constexpr std::chrono::seconds kPatience{1};
constexpr std::chrono::milliseconds kRetryTime{10};

// podman takes the usual words for ENOENT to mean that the container's command is missing.
absl::Status NoAnswer(const std::string& path, int error) {
  const std::string why =
      error == ENOENT ? "there is no such socket" : std::generic_category().message(error);
  return absl::UnavailableError(
      StrCat("the agent does not answer on ", path, " (", why, "); is sallyport-agent running?"));
}

std::chrono::milliseconds TimeLeft(Clock::time_point deadline) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()));
}

absl::StatusOr<UniqueFd> Connect(const std::string& path, Clock::time_point deadline) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(StrCat("the agent's socket ", Quote(path), " is too long"));
  path.copy(address.sun_path, path.size());
  const Clock::time_point patience = std::min(deadline, Clock::now() + kPatience);
  for (;;) {
    UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!connection.valid()) return absl::ErrnoToStatus(errno, "no socket can be made");
    if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
        0) {
      return connection;
    }
    const int error = errno;
    const bool may_pass = error == ENOENT || error == ECONNREFUSED || error == EAGAIN;
    if (!may_pass || Clock::now() >= patience) return NoAnswer(path, error);
    std::this_thread::sleep_for(kRetryTime);
  }
}

nghttp2_nv Field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

// gRPC's percent-encoding of a message.
std::string Decoded(std::string_view encoded) {
  std::string text;
  for (size_t i = 0; i < encoded.size(); ++i) {
    uint32_t byte = 0;
    if (encoded[i] == '%' && i + 2 < encoded.size() &&
        absl::SimpleHexAtoi(ToAbsl(encoded.substr(i + 1, 2)), &byte)) {
      text += static_cast<char>(byte);
      i += 2;
    } else {
      text += encoded[i];
    }
  }
  return text;
}

// The one stream of a connection.
struct Call {
  std::string outgoing;
  size_t taken = 0;  // Bytes of it that were given to nghttp2.

  std::optional<int> grpc_status;
  std::string grpc_message;
  proxy::GrpcDecoder decoder;
  absl::Status broken;
  bool closed = false;

  static ssize_t OnRead(nghttp2_session*, int32_t, uint8_t* buffer, size_t length, uint32_t* flags,
                        nghttp2_data_source* source, void*) {
    Call& call = *static_cast<Call*>(source->ptr);
    const size_t count = std::min(length, call.outgoing.size() - call.taken);
    std::copy_n(call.outgoing.data() + call.taken, count, buffer);
    call.taken += count;
    if (call.taken == call.outgoing.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(count);
  }
  static int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                      size_t name_length, const uint8_t* value, size_t value_length, uint8_t,
                      void* user_data) {
    Call& call = *static_cast<Call*>(user_data);
    const std::string_view field(reinterpret_cast<const char*>(name), name_length);
    const std::string_view text(reinterpret_cast<const char*>(value), value_length);
    int number = 0;
    if (field == "grpc-status" && absl::SimpleAtoi(ToAbsl(text), &number))
      call.grpc_status = number;
    if (field == "grpc-message") call.grpc_message = Decoded(text);
    return 0;
  }
  static int OnData(nghttp2_session*, uint8_t, int32_t, const uint8_t* bytes, size_t length,
                    void* user_data) {
    Call& call = *static_cast<Call*>(user_data);
    if (call.broken.ok())
      call.broken = call.decoder.Append({reinterpret_cast<const char*>(bytes), length});
    return 0;
  }
  static int OnClose(nghttp2_session*, int32_t, uint32_t, void* user_data) {
    static_cast<Call*>(user_data)->closed = true;
    return 0;
  }

  absl::Status Result(google::protobuf::MessageLite* response) {
    if (!grpc_status.has_value()) return absl::InternalError("the agent broke the call off");
    if (*grpc_status != 0)  // gRPC's codes are Abseil's.
      return absl::Status(static_cast<absl::StatusCode>(*grpc_status), ToAbsl(grpc_message));
    RETURN_IF_ERROR(broken);
    const std::optional<std::string_view> message = decoder.Next();
    if (!message.has_value() ||
        !response->ParseFromArray(message->data(), static_cast<int>(message->size()))) {
      return absl::InternalError("the agent's answer is not to be read; is it of this version?");
    }
    return absl::OkStatus();
  }
};

SessionPtr MakeSession(Call* call) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Call::OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Call::OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Call::OnClose);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, call);
  nghttp2_session_callbacks_del(callbacks);
  return {session, nghttp2_session_del};
}

void Submit(nghttp2_session* session, Call* call, std::string_view method,
            std::chrono::milliseconds time_left) {
  const std::string path = StrCat("/sallyport.v1.AgentControl/", method);
  const std::string timeout = StrCat(time_left.count(), "m");
  const std::array fields = {
      Field(":method", "POST"),       Field(":scheme", "http"),
      Field(":path", path),           Field(":authority", "localhost"),
      Field("te", "trailers"),        Field("content-type", "application/grpc"),
      Field("grpc-timeout", timeout),
  };
  nghttp2_data_provider body;
  body.source.ptr = call;
  body.read_callback = Call::OnRead;
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
  nghttp2_submit_request(session, nullptr, fields.data(), fields.size(), &body, nullptr);
}

absl::Status Await(const UniqueFd& connection, short events, Clock::time_point deadline) {
  pollfd ready{connection.get(), events, 0};
  for (;;) {
    const int count = poll(&ready, 1, static_cast<int>(TimeLeft(deadline).count()));
    if (count > 0) return absl::OkStatus();
    if (count == 0) return absl::DeadlineExceededError("the agent does not answer in time");
    if (errno != EINTR) return absl::ErrnoToStatus(errno, "waiting for the agent");
  }
}

absl::Status SendAll(nghttp2_session* session, const UniqueFd& connection,
                     Clock::time_point deadline) {
  const uint8_t* bytes = nullptr;
  ssize_t length = 0;
  while ((length = nghttp2_session_mem_send(session, &bytes)) > 0) {
    while (length > 0) {
      const ssize_t sent = send(connection.get(), bytes, static_cast<size_t>(length), MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) {
        RETURN_IF_ERROR(Await(connection, POLLOUT, deadline));
        continue;
      }
      if (sent < 0) return absl::ErrnoToStatus(errno, "the agent went away");
      bytes += sent;
      length -= sent;
    }
  }
  return absl::OkStatus();
}

absl::Status Exchange(nghttp2_session* session, const Call& call, const UniqueFd& connection,
                      Clock::time_point deadline) {
  std::array<uint8_t, 16 * 1024> buffer;
  while (!call.closed) {
    RETURN_IF_ERROR(SendAll(session, connection, deadline));
    RETURN_IF_ERROR(Await(connection, POLLIN, deadline));
    const ssize_t count = recv(connection.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EAGAIN) continue;
    if (count <= 0) return absl::UnavailableError("the agent went away during the call");
    if (nghttp2_session_mem_recv(session, buffer.data(), static_cast<size_t>(count)) < 0)
      return absl::InternalError("the agent's socket is not one of gRPC");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CallAgent(const std::string& path, std::string_view method,
                       const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* response, Clock::time_point deadline) {
  Call call;
  RETURN_IF_ERROR(proxy::AppendGrpcMessage(request, &call.outgoing));
  ASSIGN_OR_RETURN(const UniqueFd connection, Connect(path, deadline));
  const SessionPtr session = MakeSession(&call);
  Submit(session.get(), &call, method, TimeLeft(deadline));
  RETURN_IF_ERROR(Exchange(session.get(), call, connection, deadline));
  return call.Result(response);
}

}  // namespace sallyport::agent
