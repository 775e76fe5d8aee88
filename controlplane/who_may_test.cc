// Every method of every service, called by every role over real TLS: what the table denies never
// reaches a service, and what it gives for own names only is not given for others.

#include <gmock/gmock.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "controlplane/authorizer.h"
#include "controlplane/testing/tls_server.h"
#include "proto/sallyport/v1/admin.pb.h"
#include "proto/sallyport/v1/audit_stream.pb.h"
#include "proto/sallyport/v1/maintenance.pb.h"
#include "proto/sallyport/v1/registry.pb.h"
#include "proto/sallyport/v1/secret.pb.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using grpc::StatusCode;
using pki::Role;

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::ApplyClassRequest::descriptor()->file(), v1::BackupRequest::descriptor()->file(),
        v1::GetHandlerRequest::descriptor()->file(), v1::SetSecretRequest::descriptor()->file(),
        v1::SyncRequest::descriptor()->file(), v1::FollowRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        methods.push_back(file->service(i)->method(j));
      }
    }
  }
  return methods;
}

std::string PathOf(const MethodDescriptor& method) {
  return "/" + method.service()->full_name() + "/" + method.name();
}

// One message there, all that comes back, and how it ended. A stream that does not end is let go
// of: then the method was reached.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                  const Message& request) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes.data(), bytes.size());
  const grpc::ByteBuffer out(&slice, 1);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, path, &queue);
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  bool going = next();
  if (going) {
    call->WriteLast(out, {}, nullptr);
    going = next();
  }
  grpc::ByteBuffer answer;
  // Watch sends events without end; one tells that it is open.
  if (going) {
    call->Read(&answer, nullptr);
    if (next()) context.TryCancel();
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  queue.Shutdown();
  while (next()) continue;
  return status;
}

std::unique_ptr<Message> NewRequest(const MethodDescriptor& method) {
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()
                                      ->GetPrototype(method.input_type())
                                      ->New());
}

// Fills in the name that a method is about.
void SetName(const std::string& name, Message* request) {
  const auto& reflection = *request->GetReflection();
  const auto& type = *request->GetDescriptor();
  if (const auto* field = type.FindFieldByName("hello")) {
    static_cast<v1::Hello*>(reflection.MutableMessage(request, field))->set_host_name(name);
  } else if (const auto* host = type.FindFieldByName("host_name")) {
    reflection.SetString(request, host, name);
  } else if (const auto* handler = type.FindFieldByName("handler")) {
    auto* const value = static_cast<v1::Handler*>(reflection.MutableMessage(request, handler));
    value->set_name(name);
    value->add_endpoints("grpc://127.0.0.1:7070");
  } else if (const auto* start = type.FindFieldByName("start")) {
    auto* const value =
        static_cast<v1::ServeHandlerRequest::Start*>(reflection.MutableMessage(request, start));
    value->set_name(name);
    value->set_endpoint("grpc://127.0.0.1:7070");
  } else if (const auto* field_name = type.FindFieldByName("name")) {
    reflection.SetString(request, field_name, name);
  } else {
    ADD_FAILURE() << "say here where " << type.full_name() << " has its name";
  }
}

bool Denied(const grpc::Status& status) {
  return status.error_code() == StatusCode::PERMISSION_DENIED ||
         status.error_code() == StatusCode::UNAUTHENTICATED;
}

class WhoMayTest : public testing::Test {
 protected:
  std::shared_ptr<grpc::Channel> As(Role role) {
    return server_.Dial(server_.pki().Issue(std::string(pki::RoleName(role)), role, {"own"}));
  }

  TlsServer server_;
};

TEST_F(WhoMayTest, EveryMethodByEveryRole) {
  for (const Role role : {Role::kAdmin, Role::kAgent, Role::kHandler, Role::kViewer}) {
    const auto channel = As(role);
    for (const MethodDescriptor* method : AllMethods()) {
      const std::string path = PathOf(*method);
      const grpc::Status status = Call(channel, path, *NewRequest(*method));
      const std::string what = std::string(pki::RoleName(role)) + " " + path + ": " +
                               std::to_string(status.error_code()) + " " + status.error_message();
      EXPECT_NE(status.error_code(), StatusCode::UNAVAILABLE) << what;
      if (Permitted(role, path) == Extent::kNone) {
        EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED) << what;
      } else {
        EXPECT_FALSE(Denied(status)) << what;
      }
    }
  }
}

TEST_F(WhoMayTest, OwnNamesOnly) {
  int checked = 0;
  for (const Role role : {Role::kAgent, Role::kHandler, Role::kViewer}) {
    const auto channel = As(role);
    for (const MethodDescriptor* method : AllMethods()) {
      const std::string path = PathOf(*method);
      if (Permitted(role, path) != Extent::kOwn) continue;
      for (const char* name : {"own", "other", "own2", "ow"}) {
        const std::unique_ptr<Message> request = NewRequest(*method);
        SetName(name, request.get());
        const grpc::Status status = Call(channel, path, *request);
        EXPECT_EQ(status.error_code() == StatusCode::PERMISSION_DENIED, name != std::string("own"))
            << path << " of " << name << ": " << status.error_message();
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 16);
}

// It may add any secret to what it sends to any host.
TEST_F(WhoMayTest, BuiltinHandlersAreNotTheHandlersOwnToRegister) {
  v1::RegisterHandlerRequest request;
  v1::Handler* const handler = request.mutable_handler();
  handler->set_name("own");
  handler->mutable_builtin()->set_scheme("https");
  v1::GetHandlerRequest get;
  get.set_name("own");
  const std::string path = "/sallyport.v1.HandlerRegistry/";
  const grpc::Status denied = Call(As(Role::kHandler), path + "RegisterHandler", request);
  EXPECT_EQ(denied.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(denied.error_message(), testing::HasSubstr("an admin registers it"));
  EXPECT_EQ(Call(As(Role::kHandler), path + "GetHandler", get).error_code(), StatusCode::NOT_FOUND);

  EXPECT_FALSE(Denied(Call(As(Role::kAdmin), path + "RegisterHandler", request)));
  // To point it elsewhere is: no secret goes there.
  handler->clear_builtin();
  handler->add_endpoints("grpc://127.0.0.1:7070");
  const grpc::Status pointed = Call(As(Role::kHandler), path + "RegisterHandler", request);
  EXPECT_FALSE(Denied(pointed)) << pointed.error_message();
}

TEST_F(WhoMayTest, UnknownMethodsAreDeniedToAll) {
  for (const Role role : {Role::kAdmin, Role::kAgent, Role::kHandler, Role::kViewer}) {
    for (const char* path : {"/sallyport.v1.OutboundPolicy/NoSuch", "/grpc.health.v1.Health/Check",
                             "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
      EXPECT_EQ(Call(As(role), path, v1::ListClassesRequest()).error_code(),
                StatusCode::PERMISSION_DENIED)
          << path;
    }
  }
}

// TLS ends it before any method is looked up.
TEST_F(WhoMayTest, EveryMethodWithoutACertificate) {
  const auto channel = server_.DialWith({});
  for (const MethodDescriptor* method : AllMethods()) {
    EXPECT_EQ(Call(channel, PathOf(*method), *NewRequest(*method)).error_code(),
              StatusCode::UNAVAILABLE);
  }
}

}  // namespace
}  // namespace sallyport
