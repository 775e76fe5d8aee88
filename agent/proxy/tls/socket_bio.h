// What an SSL object reads from and writes to.

#ifndef SALLYPORT_AGENT_PROXY_TLS_SOCKET_BIO_H_
#define SALLYPORT_AGENT_PROXY_TLS_SOCKET_BIO_H_

#include <openssl/bio.h>
#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/tcp_stream.h"

namespace sallyport::proxy {

// A stream's socket as a BIO: asks for a retry where it would have to wait. Receives more than
// is asked for, since BoringSSL asks for the five bytes of a record's header alone, and holds a
// buffer only while there is something in it. Belongs to one worker.
class SocketBio {
 public:
  // `early` is served before anything is received from `stream`, which outlives this.
  SocketBio(TcpStream* stream, std::string early);
  SocketBio(const SocketBio&) = delete;
  SocketBio& operator=(const SocketBio&) = delete;

  // REQUIRES: not used after this object's end.
  bssl::UniquePtr<BIO> MakeBio();

  // Received and not yet asked for.
  bool has_buffered() const { return buffered_begin_ != buffered_end_ || !early_.empty(); }
  // The peer ended its direction (FIN), and all before that was read.
  bool ended() const { return ended_; }
  // errno of the call that failed, 0 if none did.
  int error() const { return error_; }
  // The description of the alert that what was read so far ends with, if it is one in plain text.
  std::optional<uint8_t> plain_alert() const;
  // The socket is not touched any more: every further call fails.
  void Detach();

 private:
  static const BIO_METHOD* Method();
  static int OnRead(BIO* bio, char* out, int size);
  static int OnWrite(BIO* bio, const char* data, int size);
  static long OnControl(BIO* bio, int command, long number, void* pointer);

  int Read(BIO* bio, char* out, size_t size);
  int Write(BIO* bio, const char* data, size_t size);
  // As recv(2).
  ssize_t Receive(BIO* bio, char* out, size_t size);
  int Take(const char* from, size_t available, char* out, size_t size);

  TcpStream* stream_;  // Null after Detach.
  std::string early_;
  size_t early_taken_ = 0;
  std::unique_ptr<char[]> buffer_;
  size_t buffered_begin_ = 0;
  size_t buffered_end_ = 0;
  bool ended_ = false;
  int error_ = 0;
  // The last bytes that were read: a record that holds an alert.
  std::array<char, 7> tail_{};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_SOCKET_BIO_H_
