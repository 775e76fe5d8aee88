// A server of handlers, asked as a proxy asks it.

#ifndef SALLYPORT_SDK_CPP_CALLER_H_
#define SALLYPORT_SDK_CPP_CALLER_H_

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/mutex.h"
#include "proto/sallyport/v1/handler.grpc.pb.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {

// One call, as a proxy makes it.
class Caller {
 public:
  explicit Caller(const std::string& address, const std::string& identity_token = "")
      : stub_(v1::OutboundHandler::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {
    if (!identity_token.empty()) context_.AddMetadata("sallyport-identity", identity_token);
    stream_ = stub_->Handle(&context_);
  }

  Caller& Start(const std::string& handler, bool has_body = false) {
    v1::HandleRequest message;
    v1::RequestStart& start = *message.mutable_start();
    v1::Context& context = *start.mutable_context();
    context.set_container_id("web-1");
    context.set_handler(handler);
    context.set_policy_revision(42);
    (*context.mutable_params()->mutable_fields())["scope"].set_string_value("repo:read");
    (*context.mutable_params()->mutable_fields())["limit"].set_number_value(7);
    start.set_method("POST");
    start.set_scheme("https");
    start.set_authority("api.example.com");
    start.set_path("/a?b");
    v1::Header* header = start.add_headers();
    header->set_name("x-one");
    header->set_value("1");
    start.set_has_body(has_body);
    stream_->Write(message);
    return *this;
  }
  Caller& Body(const std::string& bytes) {
    v1::HandleRequest message;
    message.set_body(bytes);
    stream_->Write(message);
    return *this;
  }
  Caller& End() {
    v1::HandleRequest message;
    message.mutable_end();
    stream_->Write(message);
    return *this;
  }

  // What the origin answers.
  Caller& Response(uint32_t status, bool has_body = false) {
    v1::HandleRequest message;
    message.mutable_response()->set_status(status);
    message.mutable_response()->set_has_body(has_body);
    v1::Header* header = message.mutable_response()->add_headers();
    header->set_name("server");
    header->set_value("s");
    stream_->Write(message);
    return *this;
  }
  Caller& ResponseBody(const std::string& bytes) {
    v1::HandleRequest message;
    message.set_response_body(bytes);
    stream_->Write(message);
    return *this;
  }
  Caller& ResponseEnd() {
    v1::HandleRequest message;
    v1::Header* trailer = message.mutable_response_end()->add_trailers();
    trailer->set_name("x-sum");
    trailer->set_value("7");
    stream_->Write(message);
    return *this;
  }
  // The next message in short; or "status CODE: TEXT" at the end.
  std::string Next() {
    v1::HandleResponse message;
    if (!stream_->Read(&message)) {
      const grpc::Status status = stream_->Finish();
      return "status " + std::to_string(status.error_code()) + ": " + status.error_message();
    }
    if (message.has_body()) return "body " + message.body();
    return message.ShortDebugString();
  }
  std::string All() {
    std::string all;
    while (true) {
      const std::string next = Next();
      all += next;
      if (next.starts_with("status ")) return all;
      all += "; ";
    }
  }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::OutboundHandler::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::HandleRequest, v1::HandleResponse>> stream_;
};

// What tests wait for.
class Signal {
 public:
  void Set() {
    MutexLock lock(&mutex_);
    set_ = true;
    changed_.SignalAll();
  }
  void Wait() {
    MutexLock lock(&mutex_);
    while (!set_) changed_.Wait(&mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
};

inline std::unique_ptr<Server> Serve(HandlerFunction handler, int max_threads = 4) {
  ServeOptions options;
  options.listen = "127.0.0.1:0";
  options.max_threads = max_threads;
  absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(std::move(options), {{"test", std::move(handler)}});
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

// To upper case, with a mark at the end.
inline void Upper(std::optional<std::string_view> piece, BodyWriter& out) {
  if (!piece.has_value()) {
    out.Write("!");
    return;
  }
  std::string changed(*piece);
  std::transform(changed.begin(), changed.end(), changed.begin(), toupper);
  out.Write(changed);
}

}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_CALLER_H_
