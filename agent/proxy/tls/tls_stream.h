// Stream over a TLS connection, of either side.

#ifndef SALLYPORT_AGENT_PROXY_TLS_TLS_STREAM_H_
#define SALLYPORT_AGENT_PROXY_TLS_TLS_STREAM_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "agent/proxy/stream.h"
#include "agent/proxy/tcp_stream.h"

namespace sallyport::proxy {

// See Stream. An idle one holds no buffers. Writes are gathered into records of up to 16 KiB.
class TlsStream final : public Stream {
 public:
  // `ssl` knows its side (SSL_set_accept_state or SSL_set_connect_state). `early` was read from
  // `transport` before.
  TlsStream(std::unique_ptr<TcpStream> transport, bssl::UniquePtr<SSL> ssl, std::string early);
  // Closes without close_notify if nobody closed before.
  ~TlsStream() override;

  struct HandshakeResult {
    // Not OK: the peer went away, or the deadline passed.
    absl::Status transport;
    // Not 0: what BoringSSL says is wrong, packed as ERR_get_error does. The alert, if one is due,
    // was sent.
    uint32_t tls_error = 0;

    bool ok() const { return transport.ok() && tls_error == 0; }
  };
  // To be done once, before everything else.
  Task<HandshakeResult> Handshake();

  Task<absl::StatusOr<size_t>> Read(std::span<char> buffer) override;
  Task<absl::Status> Write(std::span<const std::string_view> pieces) override;
  Task<absl::Status> ShutdownWrite() override;
  void Close(How how) override;
  void SetDeadline(SteadyTime deadline) override;
  // Session tickets and the like do not count.
  bool ReadableNow() override;
  bool MayBeReadable() override;
  Task<absl::Status> WaitReadable() override;
  // Of the connection below.
  void OnHangUp(std::function<void(HangUp)> callback) override;

  SSL* ssl();

  // How the peer ended the connection, if it did so of itself and without ever having sent a byte
  // of application data; else empty.
  const std::string& left_unheard() const;

 private:
  struct State;  // Kept alive by pending operations.

  static Task<HandshakeResult> HandshakeOn(std::shared_ptr<State> state);
  static void NoteEnd(State& state, std::string how);
  static Task<absl::StatusOr<size_t>> ReadFrom(std::shared_ptr<State> state,
                                               std::span<char> buffer);
  static Task<absl::Status> WriteTo(std::shared_ptr<State> state,
                                    std::span<const std::string_view> pieces);
  static Task<absl::Status> EndWriting(std::shared_ptr<State> state);
  // Lets other connections run if this one did not have to wait for long.
  static Task<absl::Status> EndTurn(std::shared_ptr<State> state);
  // Waits for what SSL_get_error said.
  static Task<absl::Status> WaitFor(std::shared_ptr<State> state, int wanted);

  std::shared_ptr<State> state_;
};

// "CERTIFICATE_VERIFY_FAILED".
std::string TlsErrorText(uint32_t tls_error);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_TLS_STREAM_H_
