#include "controlplane/authorizer.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "common/pki/testing/raw_certificate.h"
#include "common/pki/testing/test_pki.h"
#include "proto/sallyport/v1/admin.pb.h"
#include "proto/sallyport/v1/audit_stream.pb.h"
#include "proto/sallyport/v1/maintenance.pb.h"
#include "proto/sallyport/v1/registry.pb.h"
#include "proto/sallyport/v1/secret.pb.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {
namespace {

using pki::Role;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::HasSubstr;

constexpr char kRegister[] = "/sallyport.v1.HandlerRegistry/RegisterHandler";
constexpr char kGetClass[] = "/sallyport.v1.OutboundPolicy/GetClass";

Caller With(Role role, std::vector<std::string> names) {
  return {*pki::MakeIdentity(role, std::move(names))};
}

// A method that is added to a service must be given a row, or nobody may call it over TLS.
TEST(AllowTableTest, HasEveryMethodOfEveryServiceAndNoOther) {
  std::set<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::ApplyClassRequest::descriptor()->file(), v1::BackupRequest::descriptor()->file(),
        v1::FollowRequest::descriptor()->file(), v1::GetHandlerRequest::descriptor()->file(),
        v1::SetSecretRequest::descriptor()->file(), v1::SyncRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        methods.insert("/" + file->service(i)->full_name() + "/" +
                       file->service(i)->method(j)->name());
      }
    }
  }
  std::set<std::string> rows;
  for (const AllowRow& row : AllowTable()) {
    EXPECT_TRUE(rows.insert(std::string(row.method)).second) << row.method << " has two rows";
  }
  EXPECT_EQ(rows, methods);
}

TEST(AllowTableTest, WhatIsNotInItIsDenied) {
  for (const Role role : pki::kRoles) {
    for (const char* method :
         {"", "/", "/sallyport.v1.OutboundPolicy/NoSuch", "sallyport.v1.OutboundPolicy/GetClass",
          "/sallyport.v1.OutboundPolicy/GetClass/", "/grpc.health.v1.Health/Check"}) {
      EXPECT_EQ(Permitted(role, method), Extent::kNone) << method;
    }
  }
}

TEST(AllowTableTest, AdminsMayDoAllAndServersNothing) {
  for (const AllowRow& row : AllowTable()) {
    EXPECT_EQ(Permitted(Role::kAdmin, row.method), Extent::kAll);
    EXPECT_EQ(Permitted(Role::kServer, row.method), Extent::kNone);
  }
}

TEST(AllowTableTest, ViewersOnlyRead) {
  for (const AllowRow& row : AllowTable()) {
    const std::string_view name = row.method.substr(row.method.rfind('/') + 1);
    const bool reads = name.starts_with("Get") || name.starts_with("List") || name == "Explain" ||
                       name == "Follow" || name == "Watch";
    EXPECT_EQ(row.viewer, reads ? Extent::kAll : Extent::kNone) << row.method;
  }
}

class AuthorizerTest : public testing::Test {
 protected:
  absl::StatusCode Code(const absl::StatusOr<Caller>& caller, std::string_view method) {
    return authorizer_.CheckCall(caller, method).code();
  }

  pki::TestPki pki_;
  const std::unique_ptr<pki::TlsFiles> files_ = *pki::TlsFiles::Open(
      pki_.Issue("cp", Role::kServer, {"cp"}), pki::Side::kServer, milliseconds(0));
  pki::Time now_ = system_clock::now();
  Authenticator authenticator_{files_.get(), [this] { return now_; }};
  Authorizer::Steady::time_point steady_{};
  Authorizer authorizer_{&authenticator_, [this] { return steady_; }};
};

TEST_F(AuthorizerTest, Calls) {
  EXPECT_EQ(Code(Caller{}, "/anything"), absl::StatusCode::kOk);
  EXPECT_EQ(Code(With(Role::kViewer, {"v"}), kGetClass), absl::StatusCode::kOk);
  EXPECT_EQ(Code(With(Role::kHandler, {"kv"}), kGetClass), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Code(absl::UnauthenticatedError("nobody"), kGetClass),
            absl::StatusCode::kUnauthenticated);
}

TEST_F(AuthorizerTest, Names) {
  const Caller handler = With(Role::kHandler, {"kv", "read-only"});
  EXPECT_TRUE(authorizer_.CheckName(handler, kRegister, "read-only").ok());
  for (const char* name : {"kv2", "k", "", "KV", "kv\n"}) {
    const absl::Status status = authorizer_.CheckName(handler, kRegister, name);
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("handler kv, read-only"));
  }
  EXPECT_FALSE(authorizer_.CheckName(handler, kGetClass, "kv").ok());
  EXPECT_FALSE(authorizer_.CheckName(With(Role::kAgent, {"kv"}), kRegister, "kv").ok());
  EXPECT_TRUE(authorizer_.CheckName(With(Role::kAdmin, {"a"}), kRegister, "any").ok());
  EXPECT_TRUE(authorizer_.CheckName(Caller{}, kRegister, "any").ok());
}

// At most ten lines a second, then how many there were.
TEST_F(AuthorizerTest, DenialsDoNotFloodTheLog) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) Code(With(Role::kViewer, {"v"}), "/x\n\x1b[31m");
  steady_ += std::chrono::seconds(2);
  Code(With(Role::kViewer, {"v"}), "/x");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 12);
  EXPECT_THAT(log, HasSubstr("990 more denials were not logged"));
  EXPECT_THAT(log, HasSubstr("viewer v"));
  EXPECT_EQ(log.find('\x1b'), log.npos);
}

TEST_F(AuthorizerTest, CertificatesCountWhileTheyHold) {
  const pki::CertificateAndKey pair = pki_.Make(Role::kAgent, {"host-7"});
  pki_.Put("host-7", pair);
  const auto who = authenticator_.WhoHas(pair.certificate_pem);
  ASSERT_TRUE(who.ok()) << who.status();
  EXPECT_EQ(who->ToString(), "agent host-7");

  now_ += hours(2);
  EXPECT_EQ(authenticator_.WhoHas(pair.certificate_pem).status().code(),
            absl::StatusCode::kUnauthenticated);
  now_ -= hours(2);
  EXPECT_TRUE(authenticator_.WhoHas(pair.certificate_pem).ok());
  pki_.Revoke("host-7", "cp");
  EXPECT_EQ(authenticator_.WhoHas(pair.certificate_pem).status().code(),
            absl::StatusCode::kUnauthenticated);
}

TEST_F(AuthorizerTest, NoCertificateIsNobody) {
  EXPECT_EQ(authenticator_.WhoHas("").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Authenticator(nullptr).WhoHas("").status().code(), absl::StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace sallyport
