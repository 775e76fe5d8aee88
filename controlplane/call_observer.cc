#include "controlplane/call_observer.h"

#include <chrono>

namespace sallyport {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

// Of one call.
class Observer final : public Interceptor {
 public:
  Observer(CallStats* stats, const char* method) : stats_(stats), method_(method) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto took = std::chrono::steady_clock::now() - begun_;
      stats_->Count(method_, methods->GetSendStatus().error_code(),
                    std::chrono::duration_cast<std::chrono::microseconds>(took));
    }
    methods->Proceed();
  }

 private:
  CallStats* const stats_;
  const char* const method_;  // gRPC's own, for as long as it serves.
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

class Factory final : public ServerInterceptorFactoryInterface {
 public:
  explicit Factory(CallStats* stats) : stats_(stats) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new Observer(stats_, info->method());
  }

 private:
  CallStats* const stats_;
};

}  // namespace

std::unique_ptr<ServerInterceptorFactoryInterface> MakeCallObserver(CallStats* stats) {
  return std::make_unique<Factory>(stats);
}

}  // namespace sallyport
