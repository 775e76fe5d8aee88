// Changes one container's rule again and again on one connection, each time waiting until it is
// enforced. Prints a line of JSON, in milliseconds: `answered`, from call to answer; `waited`, the
// part of it that the control plane spent between durable and enforced.

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "bench/fleet/latencies.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::bench {
namespace {

int Main(int argc, char** argv) {
  int count = 0;
  if (argc != 5 || !absl::SimpleAtoi(argv[4], &count)) {
    std::fprintf(stderr, "usage: round_trip ADDRESS CONTAINER HANDLER COUNT\n");
    return 2;
  }
  const auto policy =
      v1::OutboundPolicy::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  Latencies answered;
  Latencies waited;
  for (int i = 0; i < count; ++i) {
    grpc::ClientContext context;
    v1::SetOutboundByHostRequest request;
    request.set_container_id(argv[2]);
    request.set_host("api.test");
    request.set_handler(argv[3]);
    (*request.mutable_params()->mutable_fields())["n"].set_number_value(i);
    v1::MutationResult result;
    const Clock::time_point begin = Clock::now();
    const grpc::Status status = policy->SetOutboundByHost(&context, request, &result);
    const Clock::time_point end = Clock::now();
    if (!status.ok() || result.enforcement() != v1::MutationResult::ENFORCED) {
      std::fprintf(stderr, "round_trip: not enforced: %s\n", status.error_message().c_str());
      return 1;
    }
    if (i == 0) continue;  // Makes the connection.
    answered.Add(end - begin);
    waited.Add(std::chrono::seconds(result.waited().seconds()) +
               std::chrono::nanoseconds(result.waited().nanos()));
  }
  std::printf("{\"answered\": %s, \"waited\": %s}\n", answered.Take().c_str(),
              waited.Take().c_str());
  return 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
