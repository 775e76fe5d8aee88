// Attaches containers, some at once, and says how long each call took. A line of standard input is
// an AttachRequest in JSON; an empty one calls Attach for all that came since the last, each from a
// thread of its own, and prints the times in a line: milliseconds, from call to answer.

#include <google/protobuf/util/json_util.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Call {
  v1::AttachRequest request;
  Clock::duration took{};
  grpc::Status status;
};

void CallAtOnce(v1::AgentControl::Stub& agent, std::vector<Call>& calls) {
  std::barrier ready(static_cast<std::ptrdiff_t>(calls.size()));
  std::vector<std::jthread> threads;
  for (Call& call : calls) {
    threads.emplace_back([&agent, &ready, &call] {
      grpc::ClientContext context;
      v1::AttachResponse response;
      ready.arrive_and_wait();
      const Clock::time_point begin = Clock::now();
      call.status = agent.Attach(&context, call.request, &response);
      call.took = Clock::now() - begin;
    });
  }
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: attach_calls ADDRESS\n");
    return 2;
  }
  const auto channel = grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    std::fprintf(stderr, "attach_calls: nobody answers at %s\n", argv[1]);
    return 1;
  }
  const auto agent = v1::AgentControl::NewStub(channel);
  std::vector<Call> calls;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty()) {
      if (!google::protobuf::util::JsonStringToMessage(line, &calls.emplace_back().request).ok()) {
        std::fprintf(stderr, "attach_calls: no AttachRequest: %s\n", line.c_str());
        return 1;
      }
      continue;
    }
    CallAtOnce(*agent, calls);
    for (const Call& call : calls) {
      if (!call.status.ok()) {
        std::fprintf(stderr, "attach_calls: %s\n", call.status.error_message().c_str());
        return 1;
      }
      std::printf("%.3f ", std::chrono::duration<double, std::milli>(call.took).count());
    }
    std::printf("\n");
    std::fflush(stdout);
    calls.clear();
  }
  return 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
