// Whether a call that failed is made again.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_ATTEMPTS_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_ATTEMPTS_H_

#include "absl/status/status.h"
#include "agent/proxy/stream.h"
#include "common/policy/handler_spec.h"

namespace sallyport::proxy {

// Of one request, as long as the handler has been given nothing of its body and has begun no
// answer.
class AttemptsLeft {
 public:
  explicit AttemptsLeft(const HandlerSpec& handler) : asked_for_(handler.retries) {}

  // After a call that ended with `failure`. A call that the handler has not looked at
  // (not_processed.h) is made again once in any case.
  bool Take(const absl::Status& failure, SteadyTime deadline);

 private:
  int asked_for_;
  bool unprocessed_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_ATTEMPTS_H_
