#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "proto/sallyport/v1/handler.grpc.pb.h"
#include "sdk/cpp/call.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

// A body piece of 64 KiB, and heads with room to spare.
constexpr int kMaxMessageBytes = 1024 * 1024 + 1024;
// What gRPC may hold of one request's body beyond what the handler has read.
constexpr int kLookaheadBytes = 256 * 1024;

class HandlerService final : public v1::OutboundHandler::CallbackService {
 public:
  explicit HandlerService(const CallSettings* settings) : settings_(settings) {}

  grpc::ServerBidiReactor<v1::HandleRequest, v1::HandleResponse>* Handle(
      grpc::CallbackServerContext* context) override {
    return Call::Start(settings_, *context);
  }

 private:
  const CallSettings* const settings_;
};

void LogException(const std::string& handler, const std::string& what) {
  LogWarning("handler ", handler, " threw: ", what);
}

// `listen` with the port that was chosen.
std::string BoundAddress(const std::string& listen, int port) {
  const size_t colon = listen.rfind(':');
  if (absl::StartsWith(listen, "unix:") || colon == listen.npos) return listen;
  return absl::StrCat(listen.substr(0, colon + 1), port);
}

}  // namespace

// In order of dependency; destroyed in reverse.
struct Server::State {
  explicit State(ServeOptions options, Handlers handlers)
      : listen(std::move(options.listen)), service(&settings) {
    settings.handlers = std::move(handlers);
    settings.on_exception = options.on_exception ? std::move(options.on_exception) : LogException;
    if (options.max_threads > 0) pool = std::make_unique<ThreadPool>(options.max_threads);
    settings.pool = pool.get();
  }

  const std::string listen;
  std::string address;
  int port = 0;
  CallSettings settings;
  std::unique_ptr<ThreadPool> pool;
  HandlerService service;
  std::unique_ptr<grpc::Server> server;
  Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServeOptions options, Handlers handlers) {
  if (options.listen.empty())
    return absl::InvalidArgumentError("`listen` is empty; write HOST:PORT or unix:PATH");
  const std::function<void(const std::string&)> on_listening = options.on_listening;
  auto state = std::make_unique<State>(std::move(options), std::move(handlers));

  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(state->listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&state->service);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A second service on the same port is a mistake, not a share of the load.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Windows stay as they are: a body waits at the container, not in this process.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookaheadBytes);
  state->server = builder.BuildAndStart();
  // A Unix socket has the "port" 1.
  if (state->server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", state->listen, ": is it in use, or not an address of this machine?"));
  }
  state->address = BoundAddress(state->listen, port);
  state->port =
      state->address == state->listen && absl::StartsWith(state->listen, "unix:") ? 0 : port;
  if (on_listening) on_listening(state->address);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { Stop(); }

const std::string& Server::address() const { return state_->address; }

int Server::port() const { return state_->port; }

void Server::Stop(std::chrono::milliseconds grace) {
  {
    MutexLock lock(&state_->mutex);
    if (std::exchange(state_->stopped, true)) return;
  }
  state_->server->Shutdown(std::chrono::system_clock::now() + grace);
  state_->server->Wait();
  state_->pool = nullptr;
}

}  // namespace handler_sdk
}  // namespace sallyport
