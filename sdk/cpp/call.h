// One request at a handler service: the gRPC stream, and the handler's run.

#ifndef SALLYPORT_SDK_CPP_CALL_H_
#define SALLYPORT_SDK_CPP_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "proto/sallyport/v1/handler.pb.h"
#include "sdk/cpp/body_source.h"
#include "sdk/cpp/message_stream.h"
#include "sdk/cpp/sallyport/handler.h"
#include "sdk/cpp/thread_pool.h"

namespace sallyport {
inline namespace handler_sdk {

// What all calls of a server share. Immutable.
struct CallSettings {
  Handlers handlers;
  ThreadPool* pool = nullptr;  // Null: handlers run on gRPC's threads.
  std::function<void(const std::string& handler, const std::string& what)> on_exception;
};

// Lives until gRPC and the handler's thread are both done with it. gRPC calls the reactions on its
// own threads; everything else runs on the one thread that runs the handler, which waits for the
// reactions. At most one read and one write are under way. gRPC is called with the mutex held,
// which orders the last call before OnDone; it never calls a reaction from within.
class Call final : public std::enable_shared_from_this<Call>,
                   public grpc::ServerBidiReactor<v1::HandleRequest, v1::HandleResponse>,
                   private BodySource,
                   private BodyWriter,
                   private MessageStream {
 public:
  // For gRPC. `settings` outlives the call.
  static Call* Start(const CallSettings* settings, const grpc::CallbackServerContext& context);

 private:
  using HandlerPtr = const HandlerFunction*;

  explicit Call(const CallSettings* settings) : settings_(*settings) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

  void Begin(bool ok);
  void Run(HandlerPtr handler);
  Answer Ask(const HandlerFunction& handler, const Request& request, const Context& context);
  void Act(Answer answer);
  void Send(Respond respond);
  void SendNextPiece();
  void Stream(const Respond& respond);
  void Mediate(Forward forward);
  void FinishWith(v1::HandleResponse last);
  void Fail(const absl::Status& status);
  // What `work` of the user's says, or that it threw.
  absl::Status Catch(const std::function<absl::Status()>& work);
  // MessageStream.
  v1::HandleRequest* ReadMessage() override;
  bool WriteMessage(v1::HandleResponse message) override;
  // BodySource.
  absl::StatusOr<std::optional<std::string>> NextPiece() override;
  // BodyWriter.
  bool Write(std::string_view bytes) override;

  const CallSettings& settings_;
  // Of the handler's thread. Messages belong to gRPC while a read or a write is under way.
  v1::HandleRequest received_;
  v1::HandleResponse sending_;
  std::string handler_name_;
  std::string identity_token_;
  bool body_asked_ = false;
  bool body_ended_ = false;

  Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<Call> self_ ABSL_GUARDED_BY(mutex_);  // Until OnDone.
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_ok_ ABSL_GUARDED_BY(mutex_) = false;
  bool write_ok_ ABSL_GUARDED_BY(mutex_) = true;  // Nothing was lost so far.
  // A response whose body is known: sent without a thread that waits.
  std::optional<Respond> response_ ABSL_GUARDED_BY(mutex_);
  size_t body_sent_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_CALL_H_
