// The caller's end of one call.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_CALL_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_CALL_H_

#include <memory>
#include <string>

#include "agent/proxy/handlers/http2_session.h"
#include "agent/proxy/handlers/link.h"

namespace sallyport::proxy {

// See HandlerCall. May be destroyed while a Send or a Receive waits: those hold what they need.
class Http2Call final : public HandlerCall {
 public:
  // `state` was opened by `session`.
  Http2Call(std::shared_ptr<Http2Session> session, std::shared_ptr<CallState> state);
  ~Http2Call() override;

  absl::Status Start(const v1::HandleRequest& start) override;
  Task<absl::Status> Send(const v1::HandleRequest& message) override;
  void SetSendDeadline(SteadyTime deadline) override;
  Task<absl::Status> FinishSending() override;
  Task<absl::StatusOr<v1::HandleResponse>> Receive(SteadyTime deadline) override;
  void Cancel() override;

 private:
  const std::shared_ptr<Http2Session> session_;
  const std::shared_ptr<CallState> state_;
};

// A unary call: one message there, one back. `state` was opened by `session`.
Task<absl::StatusOr<std::string>> AskOnce(std::shared_ptr<Http2Session> session,
                                          std::shared_ptr<CallState> state, std::string request,
                                          SteadyTime deadline);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_CALL_H_
