// Reads the first bytes of a TLS connection (RFC 8446 section 4.1.2) without deciding anything.

#ifndef SALLYPORT_AGENT_PROXY_TLS_CLIENT_HELLO_H_
#define SALLYPORT_AGENT_PROXY_TLS_CLIENT_HELLO_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sallyport::proxy {

inline constexpr size_t kMaxClientHelloBytes = 64 * 1024;

struct ClientHello {
  // The server_name of type host_name as sent; absent: no such extension. Not validated.
  std::optional<std::string> server_name;
  std::vector<std::string> alpn;
};
struct ClientHelloNeedsMore {};
struct NotClientHello {
  std::string detail;
  uint8_t alert;  // That says so to the client.
};

// Whether the bytes may be the beginning of a TLS record with a handshake message (0x16 0x03): one
// byte decides.
bool LooksLikeTls(std::string_view bytes);

// Reassembles a ClientHello over records, in time that is linear in its bytes however few come at a
// time.
class ClientHelloReader {
 public:
  using Result = std::variant<ClientHello, ClientHelloNeedsMore, NotClientHello>;

  // `bytes`: all that the connection brought so far, so that each call's begin with the former's.
  // NotClientHello: malformed, larger than kMaxClientHelloBytes, a record of another type, two
  // server names, a server name with a NUL byte, … REQUIRES: the former call needed more.
  Result Read(std::string_view bytes);

 private:
  size_t next_record_ = 0;  // In the bytes; the records before it are in message_.
  std::string message_;
};

ClientHelloReader::Result ParseClientHello(std::string_view bytes);

// One whole ClientHello message without record headers and without the four bytes of the handshake
// header.
std::variant<ClientHello, NotClientHello> ParseClientHelloBody(std::string_view body);

// A fatal alert (RFC 8446 section 6) in a record of its own, for a hello that is answered by
// nothing else.
inline constexpr uint8_t kAlertUnexpectedMessage = 10;
inline constexpr uint8_t kAlertRecordOverflow = 22;
inline constexpr uint8_t kAlertIllegalParameter = 47;
inline constexpr uint8_t kAlertDecodeError = 50;
inline constexpr uint8_t kAlertUnrecognizedName = 112;
std::string FatalAlert(uint8_t description);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_CLIENT_HELLO_H_
