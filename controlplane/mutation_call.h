// One call that changes policy, from validated request to answer:
//
//   write to the store (writer's thread) → poke the hosts concerned → wait until they enforce →
//   answer

#ifndef SALLYPORT_CONTROLPLANE_MUTATION_CALL_H_
#define SALLYPORT_CONTROLPLANE_MUTATION_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "common/policy/problems.h"
#include "controlplane/concern.h"
#include "controlplane/control_plane.h"
#include "controlplane/store/transaction.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

struct Mutation {
  // Whose revision `expected_revision` is, and the answer's.
  enum class Revision { kOfSubject, kOfStore };

  // With the request, what a request id stands for.
  const char* method;
  const google::protobuf::Message* request;
  // What it is about: whose hosts are concerned.
  std::vector<ResourceId> subjects;
  v1::MutationOptions options;
  // Makes the change. Runs on the writer's thread, or not at all if the request id was used for the
  // same call already; may use the request until `answer` has run.
  Store::Edit edit;
  // Fills in the response. `state` is as the mutation left it.
  std::function<void(const State& state, const v1::MutationResult& result)> answer;
  // REQUIRES: one subject, if it is kOfSubject.
  Revision revision = Revision::kOfSubject;
  // Change nothing; `answer` gets the state that would have come, and the revision that there is.
  bool dry_run = false;
};

// Paths of problems begin with "options.".
void CheckOptions(const v1::MutationOptions& options, Problems* problems);

// Starts the call; the returned reactor is gRPC's. No gRPC thread ever blocks on it. REQUIRES: the
// options are checked.
grpc::ServerUnaryReactor* StartMutation(const ControlPlane* control_plane,
                                        grpc::CallbackServerContext* context, Mutation mutation);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MUTATION_CALL_H_
