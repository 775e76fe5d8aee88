#include "controlplane/maintenance_client.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/channel_credentials.h"
#include "proto/sallyport/v1/maintenance.grpc.pb.h"

namespace sallyport {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr std::chrono::minutes kPatience{10};

class Client {
 public:
  // `tls`: the credentials are not those of a plain connection.
  Client(const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
         bool tls)
      : address_(address),
        tls_(tls),
        channel_(grpc::CreateChannel(address, credentials)),
        stub_(v1::Maintenance::NewStub(channel_)) {
    context_.set_deadline(std::chrono::system_clock::now() + kPatience);
  }

  v1::Maintenance::Stub& stub() { return *stub_; }
  grpc::ClientContext* context() { return &context_; }

  absl::Status ToAbsl(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    const bool reached = channel_->GetState(false) == GRPC_CHANNEL_READY;
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && !reached) {
      const std::string why = pki::ExplainConnectFailure(status.error_message());
      if (tls_ && why != status.error_message()) {
        return absl::UnavailableError(
            StrCat("cannot reach the control plane at ", address_, ": ", why));
      }
      return absl::UnavailableError(
          StrCat("cannot reach the control plane at ", address_,
                 ": is sallyportd running? (--control-plane says where it is; if it does not run, "
                 "use --state-dir)"));
    }
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }

 private:
  const std::string address_;
  const bool tls_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Maintenance::Stub> stub_;
  grpc::ClientContext context_;
};

}  // namespace

absl::StatusOr<LiveBackup> BackupLive(const std::string& address, const std::string& tls_dir) {
  ASSIGN_OR_RETURN(const auto credentials, pki::CredentialsFor(address, tls_dir));
  Client client(address, credentials, !tls_dir.empty());
  LiveBackup backup;
  uint64_t total = 0;
  const auto stream = client.stub().Backup(client.context(), {});
  v1::BackupResponse piece;
  while (stream->Read(&piece)) {
    backup.file += piece.data();
    backup.revision = piece.revision();
    total = piece.total_bytes();
  }
  const absl::Status status = client.ToAbsl(stream->Finish());
  if (!status.ok()) return status;
  if (total == 0 || backup.file.size() != total) {
    return absl::DataLossError(StrCat("the control plane sent ", backup.file.size(), " bytes of ",
                                      total, "; nothing was written; try again"));
  }
  return backup;
}

absl::StatusOr<Restored> RestoreLive(const std::string& address, const std::string& file,
                                     const std::string& tls_dir) {
  ASSIGN_OR_RETURN(const auto credentials, pki::CredentialsFor(address, tls_dir));
  Client client(address, credentials, !tls_dir.empty());
  v1::RestoreResponse response;
  const auto stream = client.stub().Restore(client.context(), &response);
  v1::RestoreRequest piece;
  for (size_t sent = 0; !piece.last();) {
    const size_t size = std::min(kPieceBytes, file.size() - sent);
    piece.set_data(file.substr(sent, size));
    sent += size;
    piece.set_last(sent == file.size());
    if (!stream->Write(piece)) break;  // Finish says why.
  }
  stream->WritesDone();
  const absl::Status status = client.ToAbsl(stream->Finish());
  if (!status.ok()) return status;
  return Restored{response.revision(), response.classes(), response.containers(),
                  response.handlers()};
}

}  // namespace sallyport
