// A control plane in name only: shows what an agent sends, and answers what the test tells it.

#ifndef SALLYPORT_AGENT_TESTING_SYNC_SERVER_H_
#define SALLYPORT_AGENT_TESTING_SYNC_SERVER_H_

#include <grpcpp/server.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "proto/sallyport/v1/sync.grpc.pb.h"

namespace sallyport::agent {

// Methods are for the test's thread. One stream at a time.
class SyncServer final : private v1::PolicySync::Service {
 public:
  // `socket`: a path.
  explicit SyncServer(std::string socket) : socket_(std::move(socket)) { Start(); }
  ~SyncServer() override { Stop(); }

  std::string target() const { return "unix:" + socket_; }
  void Start();
  // Goes away as a killed process would.
  void Stop();

  // The next message of an agent, of whatever stream; nullopt after 10 s.
  std::optional<v1::SyncRequest> Next();
  // On the stream that is open.
  void Send(const v1::SyncResponse& response);
  void SendDelta(const v1::Delta& delta);
  void Accept(const std::string& container_id, uint64_t revision);
  void Refuse(const std::string& container_id, const std::string& error);
  // Ends the stream that is open.
  void HangUp(const grpc::Status& status);

 private:
  using Stream = grpc::ServerReaderWriter<v1::SyncResponse, v1::SyncRequest>;
  grpc::Status Sync(grpc::ServerContext* context, Stream* stream) override;

  const std::string socket_;
  std::unique_ptr<grpc::Server> server_;

  Mutex mutex_;
  CondVar changed_;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  std::deque<v1::SyncRequest> received_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_TESTING_SYNC_SERVER_H_
