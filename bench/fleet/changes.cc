#include "bench/fleet/changes.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "common/base/strings.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::bench {
namespace {

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "fleet: %s\n", what.c_str());
  std::exit(1);
}

void ExpectOk(const char* what, const grpc::Status& status) {
  if (!status.ok()) Fail(StrCat(what, ": ", status.error_message()));
}

// One call under way.
struct Call {
  grpc::ClientContext context;
  v1::SetOutboundByHostRequest request;
  v1::MutationResult result;
};

}  // namespace

Changes::Changes(const std::string& target)
    : policy_(v1::OutboundPolicy::NewStub(
          grpc::CreateChannel(target, grpc::InsecureChannelCredentials()))),
      target_(target) {}

void Changes::Prepare(const std::string& class_name) {
  const auto registry = v1::HandlerRegistry::NewStub(
      grpc::CreateChannel(target_, grpc::InsecureChannelCredentials()));
  grpc::ClientContext registering;
  registering.set_wait_for_ready(true);
  v1::RegisterHandlerRequest handler;
  handler.mutable_handler()->set_name("bench");
  handler.mutable_handler()->add_endpoints("grpc://127.0.0.1:9");
  handler.mutable_options()->set_wait(v1::WAIT_STORED);
  v1::RegisterHandlerResponse registered;
  ExpectOk("RegisterHandler", registry->RegisterHandler(&registering, handler, &registered));

  grpc::ClientContext applying;
  v1::ApplyClassRequest request;
  request.mutable_class_()->set_name(class_name);
  request.mutable_options()->set_wait(v1::WAIT_STORED);
  v1::ApplyClassResponse applied;
  ExpectOk("ApplyClass", policy_->ApplyClass(&applying, request, &applied));
}

void Changes::ChangeClass(const std::string& class_name) {
  grpc::ClientContext context;
  v1::ApplyClassRequest request;
  v1::ApplyClassResponse response;
  request.mutable_class_()->set_name(class_name);
  request.mutable_options()->mutable_timeout()->set_seconds(60);
  const Clock::time_point begin = Clock::now();
  request.mutable_class_()->mutable_deny_response()->set_body(ToText(begin));
  ExpectOk("ApplyClass", policy_->ApplyClass(&context, request, &response));
  enforced_.Add(Clock::now() - begin);
  if (response.result().enforcement() != v1::MutationResult::ENFORCED) {
    Fail(StrCat("the class is not enforced on ", response.result().pending_hosts_size(), " hosts"));
  }
}

void Changes::ChangeContainers(const std::vector<std::string>& ids, int rate,
                               std::chrono::seconds length) {
  const size_t total = static_cast<size_t>(rate) * static_cast<size_t>(length.count());
  std::atomic<size_t> answered = 0;
  std::atomic<size_t> others = 0;
  const Clock::time_point begin = Clock::now();
  for (size_t i = 0; i < total; ++i) {
    const Clock::time_point due =
        begin + std::chrono::nanoseconds(i * 1'000'000'000 / static_cast<size_t>(rate));
    std::this_thread::sleep_until(due);
    auto call = std::make_unique<Call>();
    call->request.set_container_id(ids[i % ids.size()]);
    call->request.set_host("api.test");
    call->request.set_handler("bench");
    auto& fields = *call->request.mutable_params()->mutable_fields();
    fields["changed"].set_string_value(ToText(due));
    Call* const raw = call.release();
    policy_->async()->SetOutboundByHost(
        &raw->context, &raw->request, &raw->result, [&, due, raw](const grpc::Status& status) {
          const std::unique_ptr<Call> owned(raw);
          const bool enforced =
              status.ok() && raw->result.enforcement() == v1::MutationResult::ENFORCED;
          enforced ? enforced_.Add(Clock::now() - due) : void(++others);
          ++answered;
        });
  }
  const Clock::time_point patience = Clock::now() + std::chrono::seconds(60);
  while (answered < total) {
    if (Clock::now() > patience) Fail(StrCat(total - answered, " changes were not answered"));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  others_ = others;
}

}  // namespace sallyport::bench
