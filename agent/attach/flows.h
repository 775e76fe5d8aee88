// Connection tracking's table of flows.

#ifndef SALLYPORT_AGENT_ATTACH_FLOWS_H_
#define SALLYPORT_AGENT_ATTACH_FLOWS_H_

#include <libmnl/libmnl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::agent {

// Of the namespace in which it was opened. Its socket is kept: see RunNft for what it may take to
// close one. Not thread-safe.
class FlowTable {
 public:
  static absl::StatusOr<FlowTable> Open();

  // Deletes the flows that lead to one of these addresses: whoever had it before answered in them,
  // and the next one is not to carry them on. After an error the table is of no more use.
  absl::Status ForgetFlowsTo(const std::vector<std::string>& addresses);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  using Socket = std::unique_ptr<mnl_socket, Close>;

  explicit FlowTable(Socket socket) : socket_(std::move(socket)) {}

  Socket socket_;
  unsigned sequence_ = 0;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_FLOWS_H_
