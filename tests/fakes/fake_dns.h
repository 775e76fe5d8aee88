// A real DNS server on real sockets, authoritative for everything, with a thread of its own.

#ifndef SALLYPORT_TESTS_FAKES_FAKE_DNS_H_
#define SALLYPORT_TESTS_FAKES_FAKE_DNS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"
#include "common/net/host.h"
#include "tests/fakes/dns_zone.h"

namespace sallyport::fakes {

// Answers over UDP and TCP on the same port. Thread-safe.
class FakeDns {
 public:
  // Called for each query, on the server's thread: "api.test A udp".
  using OnQuery = std::function<void(std::string_view line)>;

  // `listen`: ADDRESS:PORT; port 0: any.
  static absl::StatusOr<std::unique_ptr<FakeDns>> Start(std::string_view listen, DnsZone zone,
                                                        OnQuery on_query = nullptr);
  ~FakeDns();

  uint16_t port() const { return port_; }
  // "127.0.0.1:5353".
  std::string address() const;
  // The lines of all queries so far, in order of arrival.
  std::vector<std::string> queries() const;
  // Waits until the server has ended, which only an error of poll(2) makes it do.
  void Join() { thread_.join(); }

 private:
  enum class Transport { kUdp, kTcp };

  FakeDns(IpAddress listen, DnsZone zone, OnQuery on_query);
  absl::Status Bind(uint16_t port);
  void Run();
  void ServeUdp();
  // False: the connection is to be closed.
  bool ServeTcp(int socket, std::string* unread);
  std::string Reply(std::string_view message, Transport transport);

  const IpAddress listen_;
  const DnsZone zone_;
  const OnQuery on_query_;
  uint16_t port_ = 0;
  UniqueFd udp_;
  UniqueFd tcp_;
  UniqueFd stop_;                           // An eventfd.
  std::map<int, std::string> connections_;  // Descriptor to bytes of an unfinished query.
  mutable Mutex mutex_;
  std::vector<std::string> queries_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace sallyport::fakes

#endif  // SALLYPORT_TESTS_FAKES_FAKE_DNS_H_
