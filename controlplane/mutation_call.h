// One call that changes policy, from validated request to answer:
//
//   write to the store (writer's thread) → poke the hosts concerned → wait until they enforce →
//   answer

#ifndef SALLYPORT_CONTROLPLANE_MUTATION_CALL_H_
#define SALLYPORT_CONTROLPLANE_MUTATION_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>

#include "absl/status/status.h"
#include "controlplane/concern.h"
#include "controlplane/control_plane.h"
#include "controlplane/store/transaction.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

struct Mutation {
  // What it is about: whose hosts are concerned, and whose revision is answered if nothing changed.
  ResourceId subject;
  v1::MutationOptions options;
  // Makes the change. Runs on the writer's thread; may use the request until `answer` has run.
  Store::Edit edit;
  // Fills in the response. `state` is as the mutation left it.
  std::function<void(const State& state, const v1::MutationResult& result)> answer;
};

// Starts the call; the returned reactor is gRPC's. No gRPC thread ever blocks on it.
grpc::ServerUnaryReactor* StartMutation(const ControlPlane* control_plane,
                                        grpc::CallbackServerContext* context, Mutation mutation);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MUTATION_CALL_H_
