// What a connection speaks, from its first bytes (semantics section 4).

#ifndef SALLYPORT_AGENT_PROXY_SNIFF_H_
#define SALLYPORT_AGENT_PROXY_SNIFF_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "agent/proxy/head_room.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/tls/client_hello.h"

namespace sallyport::proxy {

// `early` is everything that was read.
struct SniffedHttp {
  std::string early;
};
struct SniffedHttp2 {  // The connection preface (RFC 9113 section 3.4), whole.
  std::string early;
};
struct SniffedTls {
  std::string early;
  ClientHello hello;
  HeadRoom room;  // As long as `early` is held.
};
struct SniffedNeither {
  std::string detail;
  // What a TLS client is told (RFC 8446 section 6); absent: it is not one.
  std::optional<uint8_t> alert = std::nullopt;
};
struct SniffedNothing {};  // The peer left, or stayed silent until the deadline.
struct SniffedTooMuch {};  // There is no room for a ClientHello as large.
using Sniffed = std::variant<SniffedHttp, SniffedHttp2, SniffedTls, SniffedNeither, SniffedNothing,
                             SniffedTooMuch>;

// Reads until it is clear which. A ClientHello is read whole, at most kMaxClientHelloBytes. Bytes
// that cannot begin an HTTP request line are neither; that the rest of a line is legal is for the
// HTTP parser to say, as it is for what only begins like HTTP/2's preface.
// `early` was read before. `budget` has room for what is large, and outlives what is returned;
// null: nobody counts.
Task<Sniffed> Sniff(Stream* stream, SteadyTime deadline, std::string early = "",
                    ContainerBudget* budget = nullptr);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_SNIFF_H_
