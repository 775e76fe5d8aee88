// Mutual TLS at the control plane: certificates that do not count, files that change while calls
// run, hosts that are not the agent's.

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>

#include "common/pki/channel_credentials.h"
#include "common/pki/testing/raw_certificate.h"
#include "common/pki/whole_file.h"
#include "controlplane/store/sqlite_store.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"
#include "controlplane/testing/tls_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using pki::Role;
using std::chrono::hours;
using std::chrono::system_clock;
using testing::HasSubstr;
using Acks = FakeAgent::Acks;

grpc::Status List(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + std::chrono::seconds(10));
  v1::ListClassesResponse response;
  return v1::OutboundPolicy::NewStub(channel)->ListClasses(&context, {}, &response);
}

// Within what a program takes to see new files.
bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    v1::ApplyClassRequest request;
    request.mutable_class_()->set_name("web");
    *request.mutable_options() = WaitStored();
    v1::ApplyClassResponse response;
    const auto stub = v1::OutboundPolicy::NewStub(server_.admin());
    EXPECT_TRUE(
        sallyport::Call(*stub, &v1::OutboundPolicy::Stub::ApplyClass, request, &response).ok());
  }

  std::shared_ptr<grpc::Channel> Agent(const std::string& host) {
    return server_.Dial(server_.pki().Issue(host, Role::kAgent, {host}));
  }
  pki::CertificateAndKey Raw(const pki::RawCertificate& raw) {
    return pki::SignRaw(server_.pki().authority(), raw);
  }
  // URI of the certificate that the server shows on a new connection.
  std::string ShownByServer() {
    grpc::ClientContext context;
    v1::ListClassesResponse response;
    const auto stub = v1::OutboundPolicy::NewStub(server_.Dial(server_.pki().Path("admin")));
    if (!stub->ListClasses(&context, {}, &response).ok()) return "";
    const auto uris = context.auth_context()->FindPropertyValues("peer_uri");
    return uris.size() == 1 ? std::string(uris[0].data(), uris[0].size()) : "";
  }

  TlsServer server_;
};

TEST_F(TlsTest, CertificatesThatTlsRefuses) {
  pki::RawCertificate expired;
  expired.alternative_names = "URI:sallyport://admin/x";
  pki::RawCertificate early = expired;
  pki::RawCertificate for_servers = expired;
  expired.not_before = system_clock::now() - hours(48);
  expired.not_after = system_clock::now() - hours(24);
  early.not_before = system_clock::now() + hours(24);
  early.not_after = system_clock::now() + hours(48);
  for_servers.usage = "serverAuth";
  pki::RawCertificate good = expired;
  good.not_after = system_clock::now() + hours(24);
  const pki::CertificateAndKey other = *pki::MakeAuthority(hours(24), system_clock::now());

  EXPECT_TRUE(List(server_.DialWith(Raw(good))).ok());
  for (const pki::CertificateAndKey& pair :
       {Raw(expired), Raw(early), Raw(for_servers), pki::SignRaw(other, good), other}) {
    EXPECT_EQ(List(server_.DialWith(pair)).error_code(), StatusCode::UNAVAILABLE);
  }
  EXPECT_EQ(List(server_.DialWith({})).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(
      List(grpc::CreateChannel(server_.address(), grpc::InsecureChannelCredentials())).error_code(),
      StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, CertificatesThatAreNobodys) {
  pki::RawCertificate common_name_only;
  common_name_only.common_name = "sallyport://admin/x";
  pki::RawCertificate dns_only;
  dns_only.alternative_names = "DNS:admin";
  pki::RawCertificate no_usage;
  no_usage.alternative_names = "URI:sallyport://admin/x";
  no_usage.usage = "";
  pki::RawCertificate two_roles;
  two_roles.alternative_names = "URI:sallyport://admin/x,URI:sallyport://viewer/x";
  pki::RawCertificate of_others;
  of_others.alternative_names = "URI:spiffe://example/admin";
  for (const pki::RawCertificate& raw :
       {common_name_only, dns_only, no_usage, two_roles, of_others}) {
    const grpc::Status status = List(server_.DialWith(Raw(raw)));
    EXPECT_EQ(status.error_code(), StatusCode::UNAUTHENTICATED) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("the certificate"));
  }
}

// An impostor: its certificate is of our CA, but it is no control plane, or another one.
TEST_F(TlsTest, ClientsWantTheServerThatTheyDial) {
  pki::RawCertificate agent;
  agent.alternative_names = "URI:sallyport://agent/host-7,IP:127.0.0.1";
  agent.usage = "clientAuth,serverAuth";
  pki::RawCertificate elsewhere;
  elsewhere.alternative_names = "URI:sallyport://server/cp-2,DNS:cp.internal";
  elsewhere.common_name = "127.0.0.1";
  elsewhere.usage = "serverAuth";
  const std::pair<pki::RawCertificate, const char*> cases[] = {
      {agent, "is agent host-7, and no control plane"}, {elsewhere, "is not for \"127.0.0.1\""}};
  for (const auto& [raw, why] : cases) {
    const pki::CertificateAndKey pair = Raw(raw);
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs = {{pair.key_pem, pair.certificate_pem}};
    v1::OutboundPolicy::Service service;
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port);
    const std::unique_ptr<grpc::Server> impostor = builder.BuildAndStart();
    const std::string address = "127.0.0.1:" + std::to_string(port);
    const grpc::Status status = List(
        grpc::CreateChannel(address, *pki::CredentialsFor(address, server_.pki().Path("admin"))));
    EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_THAT(pki::ExplainConnectFailure(status.error_message()), HasSubstr(why));
  }
}

TEST_F(TlsTest, AgentsSpeakForTheirHostOnly) {
  const auto channel = Agent("host-7");
  FakeAgent own(channel, FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  EXPECT_TRUE(own.NextDelta().has_value());
  FakeAgent other(channel, FakeAgent::Hello("host-8"), Acks::kAtOnce);
  const grpc::Status status = other.WaitForEnd();
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("agent host-7"));
  EXPECT_THAT(status.error_message(), HasSubstr("host-8"));
}

TEST_F(TlsTest, AgentsGetTheirOwnContainersOnly) {
  FakeAgent seven(Agent("host-7"), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(seven.NextDelta().has_value());
  FakeAgent eight(Agent("host-8"), FakeAgent::Hello("host-8", {{"web-2", "web"}, {"web-1", "web"}}),
                  Acks::kAtOnce);
  ASSERT_TRUE(eight.NextDelta().has_value());
  EXPECT_FALSE(eight.has().contains(ResourceId::Container("web-1")));
  EXPECT_TRUE(eight.has().contains(ResourceId::Container("web-2")));
}

// Whoever has the certificate of one host does not get at the containers of another by waiting
// until that one is down.
TEST_F(TlsTest, AContainerOfAHostThatIsAwayIsFreedByAnAdmin) {
  {
    FakeAgent seven(Agent("host-7"), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
    ASSERT_TRUE(seven.NextDelta().has_value());
  }
  const auto channel = Agent("host-8");
  const auto attach = [&] {
    FakeAgent eight(channel, FakeAgent::Hello("host-8", {{"web-1", "web"}}), Acks::kAtOnce);
    const auto result = eight.NextAttachResult();
    return result.has_value() ? result->error() : "none";
  };
  EXPECT_TRUE(
      Eventually([&] { return attach().find("which is not connected") != std::string::npos; }));
  v1::DeleteContainerRequest request;
  request.set_container_id("web-1");
  v1::DeleteContainerResponse response;
  const auto stub = v1::OutboundPolicy::NewStub(server_.admin());
  const grpc::Status deleted =
      sallyport::Call(*stub, &v1::OutboundPolicy::Stub::DeleteContainer, request, &response);
  EXPECT_TRUE(deleted.ok()) << deleted.error_message();
  EXPECT_EQ(attach(), "");
}

TEST_F(TlsTest, FilesChangeWhileCallsRun) {
  std::atomic<bool> stop = false;
  std::atomic<int> calls = 0;
  std::atomic<int> failures = 0;
  std::thread caller([&] {
    const auto old = server_.admin();
    while (!stop) {
      // By turns on a connection that lives on, and on a new one.
      const auto channel = calls % 2 == 0 ? old : server_.Dial(server_.pki().Path("admin"));
      if (!List(channel).ok()) ++failures;
      ++calls;
    }
  });
  EXPECT_EQ(ShownByServer(), "sallyport://server/cp-1");
  for (int round = 2; round <= 4; ++round) {
    const std::string name = "cp-" + std::to_string(round);
    server_.pki().Issue("cp", Role::kServer, {name});
    EXPECT_TRUE(Eventually([&] { return ShownByServer() == "sallyport://server/" + name; }));
  }
  stop = true;
  caller.join();
  EXPECT_EQ(failures, 0);
  EXPECT_GT(calls, 10);
}

TEST_F(TlsTest, AHalfWrittenPairIsNotUsed) {
  const pki::CertificateAndKey next = server_.pki().Make(Role::kServer, {"cp-2"});
  const std::string dir = server_.pki().Path("cp");
  ASSERT_TRUE(pki::WriteWholeFile(dir + "/tls.key", next.key_pem, 0600).ok());
  // Longer than the server takes to look again, twice.
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_EQ(ShownByServer(), "sallyport://server/cp-1");
  }
  ASSERT_TRUE(pki::WriteWholeFile(dir + "/tls.crt", next.certificate_pem, 0644).ok());
  EXPECT_TRUE(Eventually([&] { return ShownByServer() == "sallyport://server/cp-2"; }));
}

TEST_F(TlsTest, RevokedCertificatesAreRefusedOnOpenConnectionsToo) {
  const auto viewer = server_.Dial(server_.pki().Issue("viewer", Role::kViewer, {"v"}));
  FakeAgent agent(Agent("host-7"), FakeAgent::Hello("host-7"), Acks::kAtOnce);
  FakeAgent stays(Agent("host-8"), FakeAgent::Hello("host-8"), Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  ASSERT_TRUE(stays.NextDelta().has_value());
  ASSERT_TRUE(List(viewer).ok());
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + std::chrono::seconds(20));
  const auto watch = v1::OutboundPolicy::NewStub(viewer)->Watch(&context, {});
  v1::WatchResponse event;
  ASSERT_TRUE(watch->Read(&event));
  server_.pki().Revoke("viewer", "cp");
  server_.pki().Revoke("host-7", "cp");
  EXPECT_TRUE(Eventually([&] { return List(viewer).error_code() == StatusCode::UNAUTHENTICATED; }));
  while (watch->Read(&event)) continue;
  EXPECT_EQ(watch->Finish().error_code(), StatusCode::UNAUTHENTICATED);
  const grpc::Status end = agent.WaitForEnd();
  EXPECT_EQ(end.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(end.error_message(), HasSubstr("revoked"));
  stays.Attach("web-1", "web");
  EXPECT_TRUE(stays.NextAttachResult().has_value());
}

TEST(TlsStartTest, WhatCannotServeIsSaidAtTheStart) {
  pki::TestPki pki;
  const auto start = [&](const std::string& dir) {
    auto store = OpenSqliteStore(pki.Path("state"));
    return std::string(
        Server::Start(*std::move(store),
                      {*ListenAddress::Parse("0.0.0.0:0", ListenAddress::Reach::kAnywhere)}, dir)
            .status()
            .message());
  };
  EXPECT_THAT(start(pki.Path("nothing")), HasSubstr("cannot read"));
  EXPECT_THAT(start(pki.Issue("alice", Role::kAdmin, {"alice"})), HasSubstr("role server"));
  const std::string dir = pki.Issue("cp", Role::kServer, {"cp"});
  ASSERT_TRUE(pki::WriteWholeFile(dir + "/tls.key", "", 0600).ok());
  EXPECT_THAT(start(dir), HasSubstr("tls.key"));
}

}  // namespace
}  // namespace sallyport
