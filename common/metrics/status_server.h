// A program's metrics and health over plain HTTP, for Prometheus, load balancers and init systems.

#ifndef SALLYPORT_COMMON_METRICS_STATUS_SERVER_H_
#define SALLYPORT_COMMON_METRICS_STATUS_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport {

// INVALID_ARGUMENT, with `flag` in its sentence, for what is not ADDRESS:PORT or [ADDRESS]:PORT, or
// no address of loopback: it is served without TLS, to whoever asks.
absl::Status CheckStatusAddress(std::string_view flag, const std::string& address);

// GET and HEAD of
//   /metrics   what `metrics` returns, in Prometheus' text format
//   /healthz   200 while the program runs
//   /readyz    200, or 503 with the sentence that `not_ready` returns
// on a thread of its own, from Start until it is destroyed. A client has five seconds for a
// request and as long for its answer; with 64 connections open more wait.
class StatusServer {
 public:
  struct Sources {
    std::function<std::string()> metrics;
    std::function<std::string()> not_ready;  // Empty: it is ready.
  };
  // The error is a sentence for the operator.
  static absl::StatusOr<std::unique_ptr<StatusServer>> Start(const std::string& address,
                                                             Sources sources);
  ~StatusServer();

  // With the port that was chosen, if it was 0.
  const std::string& address() const { return address_; }

 private:
  struct Loop;
  explicit StatusServer(std::unique_ptr<Loop> loop, std::string address);

  const std::unique_ptr<Loop> loop_;
  const std::string address_;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_METRICS_STATUS_SERVER_H_
