// One call on the agent's socket.

#ifndef SALLYPORT_AGENT_ATTACH_OCI_CALL_AGENT_H_
#define SALLYPORT_AGENT_ATTACH_OCI_CALL_AGENT_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace google::protobuf {
class MessageLite;
}

namespace sallyport::agent {

// A unary gRPC call of AgentControl.`method` on the socket file `path`: by nghttp2 alone, because
// loading gRPC's libraries takes longer than attaching a container. An agent that is not there is
// waited for, a second at most, in case it is just being replaced. Errors: the agent's own;
// UNAVAILABLE and DEADLINE_EXCEEDED, with a sentence, if there is no answer.
absl::Status CallAgent(const std::string& path, std::string_view method,
                       const google::protobuf::MessageLite& request,
                       google::protobuf::MessageLite* response,
                       std::chrono::steady_clock::time_point deadline);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_OCI_CALL_AGENT_H_
