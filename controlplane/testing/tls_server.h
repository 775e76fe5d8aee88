// A control plane in the test's process that serves mutual TLS on a loopback port.

#ifndef SALLYPORT_CONTROLPLANE_TESTING_TLS_SERVER_H_
#define SALLYPORT_CONTROLPLANE_TESTING_TLS_SERVER_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "common/pki/testing/test_pki.h"
#include "controlplane/server.h"

namespace sallyport {

class TlsServer {
 public:
  TlsServer();
  ~TlsServer();

  pki::TestPki& pki() { return pki_; }
  // HOST:PORT.
  const std::string& address() const { return server_->addresses()[0]; }
  // A connection of its own, that shows the certificate of a directory.
  std::shared_ptr<grpc::Channel> Dial(const std::string& tls_dir) const;
  // By the certificate of an admin.
  const std::shared_ptr<grpc::Channel>& admin() const { return admin_; }
  // A connection that shows this pair, whatever it is worth, or none if it is empty.
  std::shared_ptr<grpc::Channel> DialWith(const pki::CertificateAndKey& pair) const;

 private:
  pki::TestPki pki_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> admin_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_TESTING_TLS_SERVER_H_
