// Changes of single containers against a sallyportd that runs: how many a second it stores when
// many clients wait for each other's commits, and how long one takes at a fixed rate.
//
//   sallyportd --state-dir DIR --listen unix:/tmp/s &
//   bazel run -c opt //bench/store:change_rate -- --control-plane unix:/tmp/s
//
// One thread sends all calls; at a fixed rate each has its time, and a late answer holds up no
// other call (latency counts from the time at which the call was to be sent).

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/store/percentiles.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/flags/flags.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kContainers = 1000;

struct PendingCall {
  Clock::time_point begin;
  grpc::ClientContext context;
  v1::MutationResult result;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::MutationResult>> reader;
};

class Bench {
 public:
  explicit Bench(const std::string& address)
      : stub_(v1::OutboundPolicy::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  void MakeContainers() {
    grpc::ClientContext context;
    v1::ApplyClassRequest request;
    request.mutable_class_()->set_name("web");
    v1::ApplyClassResponse response;
    Check(stub_->ApplyClass(&context, request, &response));
    for (int i = 0; i < kContainers; ++i) {
      grpc::ClientContext of_one;
      v1::CreateContainerRequest create;
      create.set_container_id(StrCat("c-", i));
      create.set_class_name("web");
      v1::CreateContainerResponse created;
      Check(stub_->CreateContainer(&of_one, create, &created));
    }
  }

  // `in_flight` calls at any time.
  void RunAsFastAsCan(int in_flight, std::chrono::seconds duration) {
    const auto begin = Clock::now();
    Latencies latencies;
    for (int i = 0; i < in_flight; ++i) Send(Clock::now());
    while (Clock::now() < begin + duration) {
      latencies.push_back(Receive(Clock::now() + std::chrono::seconds(10)));
      Send(Clock::now());
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const double rate = static_cast<double>(latencies.size()) / seconds;
    for (int i = 0; i < in_flight; ++i) Receive(Clock::now() + std::chrono::seconds(10));
    PrintPercentiles(
        StrCat(in_flight, " in flight: ", static_cast<int>(rate), " changes/s").c_str(),
        std::move(latencies));
  }

  void RunAtRate(int rate, std::chrono::seconds duration) {
    const auto begin = Clock::now();
    const int64_t total = rate * duration.count();
    const std::chrono::nanoseconds step(1'000'000'000 / rate);
    Latencies latencies;
    int64_t sent = 0;
    while (static_cast<int64_t>(latencies.size()) < total) {
      const auto next = begin + sent * step;
      if (sent < total && Clock::now() >= next) {
        Send(next);
        ++sent;
        continue;
      }
      const auto latency = Receive(sent < total ? next : Clock::now() + std::chrono::seconds(10));
      if (latency.count() > 0) latencies.push_back(latency);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    PrintPercentiles(StrCat(rate, "/s asked, ",
                            static_cast<int>(static_cast<double>(total) / seconds), "/s done")
                         .c_str(),
                     std::move(latencies));
  }

 private:
  static void Check(const grpc::Status& status) {
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.error_message().c_str());
    SALLYPORT_CHECK(status.ok());
  }

  void Send(Clock::time_point begin) {
    auto* const call = new PendingCall;
    call->begin = begin;
    v1::HostRequest request;
    request.set_container_id(StrCat("c-", next_ % kContainers));
    // Another list each time, of a size that stays.
    request.set_host(StrCat("h", next_ / kContainers % 20, ".example.com"));
    request.mutable_options()->set_wait(v1::WAIT_STORED);
    const bool add = next_ / kContainers / 20 % 2 == 0;
    ++next_;
    call->reader = add ? stub_->AsyncDenyHost(&call->context, request, &queue_)
                       : stub_->AsyncRemoveDeniedHost(&call->context, request, &queue_);
    call->reader->Finish(&call->result, &call->status, call);
  }

  // Zero: no answer until `deadline`.
  std::chrono::nanoseconds Receive(Clock::time_point deadline) {
    const auto wait = std::max(deadline - Clock::now(), Clock::duration::zero());
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + wait) !=
        grpc::CompletionQueue::GOT_EVENT) {
      return std::chrono::nanoseconds::zero();
    }
    const std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(tag));
    Check(call->status);
    return Clock::now() - call->begin;
  }

  const std::unique_ptr<v1::OutboundPolicy::Stub> stub_;
  grpc::CompletionQueue queue_;
  int64_t next_ = 0;
};

void Main(const std::vector<std::string>& arguments) {
  std::string address = "unix:/run/sallyport/controlplane.sock";
  int64_t rate = 1000;
  int64_t seconds = 10;
  FlagSet flags("change_rate", "Measures changes of single containers.");
  flags.String("control-plane", &address, "ADDRESS", "Where sallyportd listens.");
  flags.Int("rate", &rate, 1, 100'000, "N",
            "Changes a second, of the measurement at a fixed rate.");
  flags.Int("seconds", &seconds, 1, 3600, "N", "How long each measurement takes.");
  flags.ParseOrExit(arguments);
  Bench bench(address);
  bench.MakeContainers();
  const std::chrono::seconds duration(seconds);
  bench.RunAsFastAsCan(1, duration);
  bench.RunAsFastAsCan(64, duration);
  bench.RunAtRate(static_cast<int>(rate), duration);
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) { sallyport::Main({argv + 1, argv + argc}); }
