// Connects to handlers' Unix sockets for the proxy, which sees no path.

#ifndef SALLYPORT_AGENT_HANDLER_SOCKETS_H_
#define SALLYPORT_AGENT_HANDLER_SOCKETS_H_

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// The agent's end of one proxy's way to sockets (agent/proxy/control.proto, NeedSocket), with a
// thread of its own. Ends when the proxy closes its end, or with this object.
class HandlerSockets {
 public:
  // Why a path may not be connected to; OK: it may. Called on this object's thread.
  using Check = std::function<absl::Status(const std::string& path)>;

  // `own`: this end of the way of a proxy that an agent before this one has started. Invalid: a new
  // way is made.
  explicit HandlerSockets(Check check, UniqueFd own = UniqueFd());
  ~HandlerSockets();
  HandlerSockets(const HandlerSockets&) = delete;
  HandlerSockets& operator=(const HandlerSockets&) = delete;

  // The proxy's end; stays this object's. Invalid: this process has no descriptors left, and no
  // request will be heard.
  const UniqueFd& peer() const { return peer_; }
  // This end; for who keeps it.
  const UniqueFd& own() const { return own_; }

 private:
  void Run();
  // False: the proxy is gone.
  bool ServeOne();
  absl::StatusOr<UniqueFd> Connect(const std::string& path) const;

  const Check check_;
  const UniqueFd wake_;  // An eventfd.
  UniqueFd own_;
  UniqueFd peer_;
  std::thread thread_;  // Last: it uses the rest.
};

// OK if the path lies in one of `directories`, which are absolute.
absl::Status CheckSocketDirectory(const std::string& path,
                                  const std::vector<std::string>& directories);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_HANDLER_SOCKETS_H_
