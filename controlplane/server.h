// The composition root: makes the parts in order of dependency, and takes them down in reverse.

#ifndef SALLYPORT_CONTROLPLANE_SERVER_H_
#define SALLYPORT_CONTROLPLANE_SERVER_H_

#include <grpcpp/server.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/metrics/status_server.h"
#include "common/pki/tls_files.h"
#include "controlplane/audit_service.h"
#include "controlplane/audit_streams.h"
#include "controlplane/authenticator.h"
#include "controlplane/authorizer.h"
#include "controlplane/call_stats.h"
#include "controlplane/certificate_watch.h"
#include "controlplane/config.h"
#include "controlplane/control_plane.h"
#include "controlplane/live_endpoints.h"
#include "controlplane/maintenance_service.h"
#include "controlplane/policy_service.h"
#include "controlplane/registry_service.h"
#include "controlplane/secret_service.h"
#include "controlplane/store/store.h"
#include "controlplane/sync_hub.h"
#include "controlplane/sync_service.h"
#include "controlplane/waiters.h"
#include "controlplane/watch_hub.h"
#include "controlplane/write_queue.h"

namespace sallyport {

// Serves from Start until it is destroyed. Start and the destructor are for one thread.
class Server {
 public:
  // Serves what `store` holds. With `tls_dir` every address but unix sockets is served with mutual
  // TLS only. The error is a sentence for the operator.
  // `secrets_key`: the file of the key by which secrets are encrypted; empty: it is in memory only.
  static absl::StatusOr<std::unique_ptr<Server>> Start(std::unique_ptr<Store> store,
                                                       const std::vector<ListenAddress>& listen,
                                                       const std::string& tls_dir = "",
                                                       const std::string& secrets_key = "");
  // Answers everyone who waits, ends all streams, and is gone within a second.
  ~Server();

  // Where it listens, with the ports that were chosen.
  const std::vector<std::string>& addresses() const { return addresses_; }

  // Metrics and health (docs/metrics.md), over plain HTTP. Returns the address with the port that
  // was chosen.
  absl::StatusOr<std::string> ServeMetrics(const std::string& address);

 private:
  Server(std::unique_ptr<Store> store, std::unique_ptr<pki::TlsFiles> tls_files,
         std::unique_ptr<SecretSealer> sealer);
  absl::Status Listen(const std::vector<ListenAddress>& listen);
  std::shared_ptr<grpc::ServerCredentials> CredentialsFor(const ListenAddress& address) const;

  const std::unique_ptr<pki::TlsFiles> tls_files_;  // Null: no TLS.
  const Authenticator authenticator_;
  const Authorizer authorizer_;
  const std::shared_ptr<grpc::ServerCredentials> tls_credentials_;  // Null: no TLS.
  const std::unique_ptr<SecretSealer> sealer_;
  const std::unique_ptr<Store> store_;
  WatchHub watchers_;
  SyncHub hub_;
  Waiters waiters_;
  AuditStreams audit_;
  LiveEndpoints live_;  // Outlives what the writer was given.
  WriteQueue writer_;
  CallStats call_stats_;
  const ControlPlane control_plane_;
  PolicyService policy_service_;
  RegistryService registry_service_;
  SecretService secret_service_;
  SyncService sync_service_;
  AuditService audit_service_;
  MaintenanceService maintenance_service_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::string> addresses_;
  std::optional<CertificateWatch> certificate_watch_;
  std::unique_ptr<StatusServer> status_server_;  // Null: metrics are not served.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SERVER_H_
