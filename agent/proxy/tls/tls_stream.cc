#include "agent/proxy/tls/tls_stream.h"

#include <openssl/err.h>

#include <cstring>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/proxy/tls/record_gather.h"
#include "agent/proxy/tls/socket_bio.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// Records in a row that did not have to wait.
constexpr int kTurn = 32;

// What OpenSSL's clients say of a certificate that they dislike comes in plain text also in
// TLS 1.3, where everything after the ServerHello is encrypted (RFC 8446 section 2): BoringSSL
// cannot decrypt it. Packed as the alert that it is.
uint32_t AsPlainAlert(uint32_t tls_error, const SocketBio& bio) {
  const std::optional<uint8_t> alert = bio.plain_alert();
  if (ERR_GET_LIB(tls_error) != ERR_LIB_SSL || !alert.has_value() ||
      ERR_GET_REASON(tls_error) != SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC) {
    return tls_error;
  }
  return ERR_PACK(ERR_LIB_SSL, SSL_AD_REASON_OFFSET + *alert);
}

// What the peer says of our certificate (RFC 8446 section 6.2): in TLS 1.3 after the handshake.
std::string_view MeaningOf(uint32_t tls_error) {
  if (ERR_GET_LIB(tls_error) != ERR_LIB_SSL) return "";
  switch (ERR_GET_REASON(tls_error)) {
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED:
      return " (the peer asks for a client certificate)";
    case SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA:
      return " (the peer refuses our certificate)";
    default:
      return "";
  }
}

bool IsWait(int wanted) { return wanted == SSL_ERROR_WANT_READ || wanted == SSL_ERROR_WANT_WRITE; }

}  // namespace

struct TlsStream::State {
  State(std::unique_ptr<TcpStream> socket, bssl::UniquePtr<SSL> session, std::string early)
      : transport(std::move(socket)),
        bio(transport.get(), std::move(early)),
        ssl(std::move(session)) {
    bssl::UniquePtr<BIO> end = bio.MakeBio();
    SSL_set_bio(ssl.get(), end.get(), end.get());  // Takes one reference, as both are the same.
    std::ignore = end.release();
  }

  // Whether an operation may begin or go on.
  absl::Status Usable() const {
    if (closed) return absl::CancelledError("the TLS stream is closed");
    if (deadline != SteadyTime::max() && std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError("the TLS peer took too long");
    }
    return absl::OkStatus();
  }

  // For a read, without the transport.
  bool HasSomething() const {
    return closed || end_is_known || bio.has_buffered() || bio.ended() || bio.error() != 0 ||
           SSL_has_pending(ssl.get()) != 0;
  }

  // Why the last SSL call failed, if it was the transport's fault; OK if it was not.
  absl::Status TransportFailure() const {
    if (bio.error() != 0) {
      return absl::UnavailableError(
          absl::StrCat("the TLS peer's connection broke: ", std::strerror(bio.error())));
    }
    if (bio.ended()) return absl::DataLossError("the TLS peer ended without close_notify");
    return absl::OkStatus();
  }

  absl::Status Failure() const {
    absl::Status transport_failure = TransportFailure();
    if (!transport_failure.ok()) return transport_failure;
    const uint32_t error = ERR_peek_last_error();
    const std::string_view meaning = SSL_is_server(ssl.get()) ? "" : MeaningOf(error);
    return absl::DataLossError(StrCat("TLS failed: ", TlsErrorText(error), meaning));
  }

  // Destroyed last: pending waits refer to it.
  std::unique_ptr<TcpStream> transport;
  SocketBio bio;
  bssl::UniquePtr<SSL> ssl;
  SteadyTime deadline = SteadyTime::max();
  int turn = 0;
  bool closed = false;
  bool write_ended = false;
  bool heard = false;  // Application data came.
  // A read has found out how the peer's direction ends, behind data that came with it.
  bool end_is_known = false;
  std::string left_unheard;
  // A record may have been written in part: whatever came after it would be taken for its end.
  absl::Status write_failure;
};

TlsStream::TlsStream(std::unique_ptr<TcpStream> transport, bssl::UniquePtr<SSL> ssl,
                     std::string early)
    : state_(std::make_shared<State>(std::move(transport), std::move(ssl), std::move(early))) {}

TlsStream::~TlsStream() {
  if (state_->closed) return;
  state_->closed = true;
  state_->bio.Detach();
  state_->transport->Close(How::kGraceful);
}

SSL* TlsStream::ssl() { return state_->ssl.get(); }

const std::string& TlsStream::left_unheard() const { return state_->left_unheard; }

void TlsStream::NoteEnd(State& state, std::string how) {
  if (!state.heard && !state.write_ended && !state.closed) state.left_unheard = std::move(how);
}

Task<TlsStream::HandshakeResult> TlsStream::Handshake() { return HandshakeOn(state_); }

Task<absl::StatusOr<size_t>> TlsStream::Read(std::span<char> buffer) {
  return ReadFrom(state_, buffer);
}

Task<absl::Status> TlsStream::Write(std::span<const std::string_view> pieces) {
  return WriteTo(state_, pieces);
}

Task<absl::Status> TlsStream::ShutdownWrite() { return EndWriting(state_); }

Task<absl::Status> TlsStream::EndTurn(std::shared_ptr<State> state) {
  state->turn = 0;
  co_await Yield();
  co_return state->Usable();
}

Task<absl::Status> TlsStream::WaitFor(std::shared_ptr<State> state, int wanted) {
  state->turn = 0;
  absl::Status status;
  if (wanted == SSL_ERROR_WANT_READ) {
    status = co_await state->transport->WaitReadable();
  } else {
    status = co_await state->transport->WaitWritable();
  }
  // Closing may have found the wait already over.
  if (status.ok()) status = state->Usable();
  co_return status;
}

Task<TlsStream::HandshakeResult> TlsStream::HandshakeOn(std::shared_ptr<State> state) {
  HandshakeResult result;
  result.transport = state->Usable();
  while (result.transport.ok()) {
    ERR_clear_error();
    const int done = SSL_do_handshake(state->ssl.get());
    if (done == 1) co_return result;
    const int wanted = SSL_get_error(state->ssl.get(), done);
    if (!IsWait(wanted)) {
      if (state->bio.ended() || wanted == SSL_ERROR_ZERO_RETURN) {
        result.transport =
            absl::UnavailableError("the TLS peer closed the connection during the handshake");
        co_return result;
      }
      result.transport = state->TransportFailure();
      if (result.transport.ok()) {
        result.tls_error = AsPlainAlert(ERR_peek_last_error(), state->bio);
      }
      if (result.ok()) result.transport = absl::DataLossError("the TLS handshake failed");
      co_return result;
    }
    result.transport = co_await WaitFor(state, wanted);
  }
  co_return result;
}

Task<absl::StatusOr<size_t>> TlsStream::ReadFrom(std::shared_ptr<State> state,
                                                 std::span<char> buffer) {
  SSL* const ssl = state->ssl.get();
  absl::Status status = state->Usable();
  if (status.ok() && ++state->turn > kTurn) status = co_await EndTurn(state);
  while (status.ok()) {
    ERR_clear_error();
    const int count = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
    if (count > 0) {
      state->heard = true;
      size_t total = static_cast<size_t>(count);
      // More records that are here already. An error among them is found again by the next read.
      while (total < buffer.size() && state->bio.has_buffered()) {
        const int more =
            SSL_read(ssl, buffer.data() + total, static_cast<int>(buffer.size() - total));
        if (more <= 0) {
          state->end_is_known = !IsWait(SSL_get_error(ssl, more));
          break;
        }
        total += static_cast<size_t>(more);
      }
      co_return total;
    }
    const int wanted = SSL_get_error(ssl, count);
    if (wanted == SSL_ERROR_ZERO_RETURN) {
      NoteEnd(*state, "close_notify");
      co_return size_t{0};
    }
    if (!IsWait(wanted)) {
      absl::Status failure = state->Failure();
      NoteEnd(*state, std::string(failure.message()));
      co_return failure;
    }
    status = co_await WaitFor(state, wanted);
  }
  co_return status;
}

Task<absl::Status> TlsStream::WriteTo(std::shared_ptr<State> state,
                                      std::span<const std::string_view> pieces) {
  SSL* const ssl = state->ssl.get();
  CO_RETURN_IF_ERROR(state->Usable());
  CO_RETURN_IF_ERROR(state->write_failure);
  RecordGather records(pieces);
  std::string_view record = records.Next();
  while (!record.empty()) {
    absl::Status status;
    ERR_clear_error();
    const int count = SSL_write(ssl, record.data(), static_cast<int>(record.size()));
    if (count > 0) {
      record = records.Next();
      if (!record.empty() && ++state->turn > kTurn) status = co_await EndTurn(state);
    } else {
      const int wanted = SSL_get_error(ssl, count);
      if (IsWait(wanted)) {
        status = co_await WaitFor(state, wanted);
      } else {
        status = state->Failure();
      }
    }
    if (!status.ok()) {
      state->write_failure = status;
      co_return status;
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> TlsStream::EndWriting(std::shared_ptr<State> state) {
  CO_RETURN_IF_ERROR(state->Usable());
  if (state->write_ended) co_return absl::OkStatus();
  CO_RETURN_IF_ERROR(state->write_failure);
  state->write_ended = true;
  state->write_failure = absl::FailedPreconditionError("the TLS stream's writing end was shut");
  while (true) {
    ERR_clear_error();
    const int done = SSL_shutdown(state->ssl.get());
    if (done >= 0) break;
    const int wanted = SSL_get_error(state->ssl.get(), done);
    if (!IsWait(wanted)) co_return state->Failure();
    absl::Status waited = co_await WaitFor(state, wanted);
    if (!waited.ok()) co_return waited;
  }
  absl::Status ended = co_await state->transport->ShutdownWrite();
  co_return ended;
}

void TlsStream::Close(How how) {
  if (state_->closed) return;
  state_->closed = true;
  // Sends close_notify if it can be sent at once. (A second SSL_shutdown would read.)
  if (how == How::kGraceful && state_->write_failure.ok()) {
    ERR_clear_error();
    SSL_shutdown(state_->ssl.get());
  }
  state_->bio.Detach();
  state_->transport->Close(how);
}

void TlsStream::SetDeadline(SteadyTime deadline) {
  state_->deadline = deadline;
  state_->transport->SetDeadline(deadline);
}

bool TlsStream::ReadableNow() {
  if (!state_->Usable().ok()) return true;
  SSL* const ssl = state_->ssl.get();
  const bool buffered = state_->bio.has_buffered() || SSL_has_pending(ssl) != 0;
  if (!buffered && !state_->transport->ReadableNow()) return false;
  ERR_clear_error();
  char byte;
  const int count = SSL_peek(ssl, &byte, 1);
  return count > 0 || !IsWait(SSL_get_error(ssl, count));
}

bool TlsStream::MayBeReadable() {
  return state_->HasSomething() || state_->transport->MayBeReadable();
}

Task<absl::Status> TlsStream::WaitReadable() {
  return state_->HasSomething() ? Stream::WaitReadable() : WaitFor(state_, SSL_ERROR_WANT_READ);
}

void TlsStream::OnHangUp(std::function<void(HangUp)> callback) {
  state_->transport->OnHangUp(std::move(callback));
}

std::string TlsErrorText(uint32_t tls_error) {
  const char* const reason = ERR_reason_error_string(tls_error);
  return reason != nullptr ? reason : "unknown";
}

}  // namespace sallyport::proxy
