#include "controlplane/testing/tls_server.h"

#include <grpcpp/create_channel.h>

#include "common/base/check.h"
#include "common/pki/channel_credentials.h"
#include "controlplane/store/sqlite_store.h"

namespace sallyport {
namespace {

std::shared_ptr<grpc::Channel> NewChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace

TlsServer::TlsServer() {
  auto store = OpenSqliteStore(pki_.Path("state"));
  SALLYPORT_CHECK(store.ok());
  auto server = Server::Start(
      *std::move(store), {*ListenAddress::Parse("127.0.0.1:0", ListenAddress::Reach::kAnywhere)},
      pki_.Issue("cp", pki::Role::kServer, {"cp-1"}));
  SALLYPORT_CHECK(server.ok());
  server_ = *std::move(server);
  admin_ = Dial(pki_.Issue("admin", pki::Role::kAdmin, {"alice"}));
}

TlsServer::~TlsServer() = default;

std::shared_ptr<grpc::Channel> TlsServer::Dial(const std::string& tls_dir) const {
  const auto credentials = pki::CredentialsFor(address(), tls_dir);
  SALLYPORT_CHECK(credentials.ok());
  return NewChannel(address(), *credentials);
}

std::shared_ptr<grpc::Channel> TlsServer::DialWith(const pki::CertificateAndKey& pair) const {
  return NewChannel(address(),
                    grpc::SslCredentials({.pem_root_certs = pki_.authority().certificate_pem,
                                          .pem_private_key = pair.key_pem,
                                          .pem_cert_chain = pair.certificate_pem}));
}

}  // namespace sallyport
