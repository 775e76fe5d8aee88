#include "controlplane/server.h"

#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include <chrono>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "controlplane/call_gate.h"
#include "controlplane/call_observer.h"
#include "controlplane/metrics.h"

namespace sallyport {
namespace {

constexpr size_t kMaxQueuedWrites = 10'000;
constexpr int kMaxMessageBytes = 16 << 20;

void SetLimits(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder->SetMaxSendMessageSize(kMaxMessageBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1000);
  // Finds agents that went away without a word within 40 s.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Clients may ping every 10 s, also on a silent stream; more is answered with GOAWAY.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 9'000);
  // Else a second server would share the port with us, and take half of the calls.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

// gRPC makes socket files with the umask of the process.
class PrivateUmask {
 public:
  PrivateUmask() : before_(::umask(0177)) {}
  ~PrivateUmask() { ::umask(before_); }

 private:
  const mode_t before_;
};

}  // namespace

Server::Server(std::unique_ptr<Store> store, std::unique_ptr<pki::TlsFiles> tls_files,
               std::unique_ptr<SecretSealer> sealer)
    : tls_files_(std::move(tls_files)),
      authenticator_(tls_files_.get()),
      authorizer_(&authenticator_),
      tls_credentials_(tls_files_ == nullptr
                           ? nullptr
                           : MakeGatedTlsCredentials(tls_files_.get(), &authorizer_)),
      sealer_(std::move(sealer)),
      store_(std::move(store)),
      waiters_(store_.get(), [this] { watchers_.Notify(); }),
      live_(store_.get(), &hub_),
      writer_(store_.get(), kMaxQueuedWrites),
      control_plane_{store_.get(), &waiters_, &hub_,        &writer_,
                     &watchers_,   &live_,    &authorizer_, sealer_.get()},
      policy_service_(&control_plane_),
      registry_service_(&control_plane_),
      secret_service_(&control_plane_),
      sync_service_(&control_plane_),
      audit_service_(&control_plane_, &audit_),
      maintenance_service_(&control_plane_) {
  store_->OnChange([this] {
    watchers_.Notify();
    live_.OnStoreChange();
  });
  live_.Start(&writer_);
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(std::unique_ptr<Store> store,
                                                      const std::vector<ListenAddress>& listen,
                                                      const std::string& tls_dir,
                                                      const std::string& secrets_key) {
  ASSIGN_OR_RETURN(std::unique_ptr<SecretSealer> sealer, SecretSealer::Open(secrets_key));
  std::unique_ptr<pki::TlsFiles> tls_files;
  if (!tls_dir.empty()) {
    ASSIGN_OR_RETURN(tls_files, pki::TlsFiles::Open(tls_dir, pki::Side::kServer));
  }
  std::unique_ptr<Server> server(
      new Server(std::move(store), std::move(tls_files), std::move(sealer)));
  RETURN_IF_ERROR(server->Listen(listen));
  return server;
}

absl::Status Server::Listen(const std::vector<ListenAddress>& listen) {
  grpc::ServerBuilder builder;
  SetLimits(&builder);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> observers;
  observers.push_back(MakeCallObserver(&call_stats_));
  builder.experimental().SetInterceptorCreators(std::move(observers));
  builder.RegisterService(&policy_service_);
  builder.RegisterService(&registry_service_);
  builder.RegisterService(&secret_service_);
  builder.RegisterService(&sync_service_);
  builder.RegisterService(&audit_service_);
  builder.RegisterService(&maintenance_service_);
  std::vector<int> ports(listen.size(), 0);
  for (size_t i = 0; i < listen.size(); ++i) {
    if (listen[i].is_unix()) RETURN_IF_ERROR(PrepareUnixSocket(listen[i].path()));
    builder.AddListeningPort(listen[i].ToString(), CredentialsFor(listen[i]), &ports[i]);
  }
  {
    const PrivateUmask umask;
    server_ = builder.BuildAndStart();
  }
  for (size_t i = 0; i < listen.size(); ++i) {
    // gRPC gives port 0 for what it could not bind, and 1 for a unix socket.
    if (server_ == nullptr || ports[i] == 0) {
      return absl::FailedPreconditionError(
          StrCat("cannot listen on ", listen[i].ToString(),
                 ": the address is in use or not permitted; choose another with --listen"));
    }
    addresses_.push_back(listen[i].ToString(ports[i]));
  }
  if (tls_files_ != nullptr) {
    certificate_watch_.emplace(tls_files_.get(), [this] {
      hub_.RecheckAll();
      watchers_.RecheckAll();
      audit_.RecheckAll();
      live_.RecheckAll();
    });
  }
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> Server::CredentialsFor(
    const ListenAddress& address) const {
  if (!address.is_unix() && tls_credentials_ != nullptr) return tls_credentials_;
  if (!address.is_unix()) {
    LogWarning("every user of this machine may change policy through ", address.ToString(),
               "; listen on a unix socket only, or give --tls-dir");
  }
  return grpc::InsecureServerCredentials();
}

absl::StatusOr<std::string> Server::ServeMetrics(const std::string& address) {
  const MetricSources sources{store_.get(), &hub_, &waiters_, &writer_, &call_stats_, &audit_};
  ASSIGN_OR_RETURN(
      status_server_,
      StatusServer::Start(address, {.metrics = [sources] { return ControlPlaneMetrics(sources); },
                                    .not_ready = [this] { return writer_.trouble(); }}));
  return status_server_->address();
}

Server::~Server() {
  status_server_.reset();
  certificate_watch_.reset();
  live_.Stop();
  if (server_ == nullptr) return;
  watchers_.StopAll();
  audit_.StopAll();
  hub_.StopAll("the control plane stops; connect again");
  waiters_.AnswerAll();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace sallyport
