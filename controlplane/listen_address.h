// Where sallyportd listens: `unix:/path`, or HOST:PORT, which without TLS must be loopback.

#ifndef SALLYPORT_CONTROLPLANE_LISTEN_ADDRESS_H_
#define SALLYPORT_CONTROLPLANE_LISTEN_ADDRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport {

// Immutable value.
class ListenAddress {
 public:
  // Who may reach it. Without TLS nobody but this machine.
  enum class Reach { kThisMachine, kAnywhere };

  // INVALID_ARGUMENT with a sentence that says what to write. Port 0 picks a free one.
  static absl::StatusOr<ListenAddress> Parse(std::string_view text,
                                             Reach reach = Reach::kThisMachine);

  bool is_unix() const { return !path_.empty(); }
  // Of the socket file.
  const std::string& path() const { return path_; }
  // As gRPC takes it; `port` replaces port 0.
  std::string ToString(int port) const;
  std::string ToString() const { return ToString(port_); }

 private:
  std::string path_;
  std::string host_;  // An address, IPv6 in brackets; with TLS a name too.
  uint16_t port_ = 0;
};

// Makes room for a unix socket: makes its directory, and removes a socket file on which nobody
// answers. FAILED_PRECONDITION if somebody does, or the path is another kind of file.
absl::Status PrepareUnixSocket(const std::string& path);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_LISTEN_ADDRESS_H_
