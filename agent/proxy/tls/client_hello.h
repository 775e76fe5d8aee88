// Reads the first bytes of a TLS connection (RFC 8446 section 4.1.2) without deciding anything.

#ifndef SALLYPORT_AGENT_PROXY_TLS_CLIENT_HELLO_H_
#define SALLYPORT_AGENT_PROXY_TLS_CLIENT_HELLO_H_

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
};

// Whether the bytes may be the beginning of a TLS record with a handshake message (0x16 0x03): one byte decides.
bool LooksLikeTls(std::string_view bytes);

// Reassembles the ClientHello over records. NotClientHello: malformed, larger than kMaxClientHelloBytes, a record of another type, two
// server names, a server name with a NUL byte, …
std::variant<ClientHello, ClientHelloNeedsMore, NotClientHello> ParseClientHello(std::string_view bytes);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_CLIENT_HELLO_H_
