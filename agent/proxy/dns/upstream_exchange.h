// One question to one resolver: over UDP, and over TCP where UDP does not do (RFC 1035 section 4.2,
// RFC 7766).

#ifndef SALLYPORT_AGENT_PROXY_DNS_UPSTREAM_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_DNS_UPSTREAM_EXCHANGE_H_

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "agent/proxy/tcp_stream.h"
#include "common/net/address.h"
#include "common/net/host.h"

namespace sallyport::proxy {

struct DnsServerAddress {
  IpAddress address;
  uint16_t port = 53;

  // ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.
  static absl::StatusOr<DnsServerAddress> Parse(std::string_view text);
};

// The sockets on which answers are awaited, so that all can be closed at once. Belongs to one
// worker.
class ExchangeSockets {
 public:
  // Keeps a socket in the list while an exchange uses it.
  class Registration;

  // Ends every exchange, and lets none begin.
  void CloseAll();
  bool closed() const { return closed_; }

 private:
  std::list<TcpStream*> open_;
  bool closed_ = false;
};

struct DnsExchange {
  DnsServerAddress server;
  Host name;
  DnsType type = DnsType::kA;
  // Whether EDNS is offered; some servers and middleboxes refuse queries with it.
  enum class Edns { kOffered, kNone } edns = Edns::kOffered;
  SteadyTime deadline;
};

// NOERROR and NXDOMAIN are answers. DEADLINE_EXCEEDED: the server is silent. UNAVAILABLE: it cannot
// be reached, or `sockets` were closed. FAILED_PRECONDITION: it does not want to answer this
// question. INVALID_ARGUMENT: it does not understand it, perhaps because of EDNS.
//
// Against answers from somebody else (RFC 5452): a source port of its own for each question, a
// random id, and a random spelling of the name (draft-vixie-dnsext-dns0x20). Datagrams that do not
// match are dropped; a server that does not keep the spelling, or a flood of mismatches, is met
// over TCP.
Task<absl::StatusOr<UpstreamAnswer>> ExchangeDns(boost::asio::io_context* context,
                                                 std::shared_ptr<ExchangeSockets> sockets,
                                                 DnsExchange exchange);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_UPSTREAM_EXCHANGE_H_
