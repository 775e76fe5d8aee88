// Answers the DNS queries of one container (semantics section 5).

#ifndef SALLYPORT_AGENT_PROXY_DNS_SERVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_SERVER_H_

#include <boost/asio/io_context.hpp>
#include <memory>

#include "agent/proxy/dns/answer_query.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// Serves a bound, non-blocking UDP socket until Stop. Queries are answered concurrently, at most
// max_in_flight of them by asking upstream (more: SERVFAIL at once). Belongs to one worker; must
// outlive its last query: Stop, then destroy after the returned task of Serve ended. What `options`
// refers to must live as long.
class DnsServer {
 public:
  static std::unique_ptr<DnsServer> Create(boost::asio::io_context& context, UniqueFd socket,
                                           DnsServerOptions options);
  virtual ~DnsServer() = default;
  // Ends after Stop or Drain, when the last query under way has ended. REQUIRES: called once.
  virtual Task<void> Serve() = 0;
  // No query is taken from now on; those under way are answered.
  virtual void Drain() = 0;
  // No query is answered from now on.
  virtual void Stop() = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_SERVER_H_
