#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "proto/sallyport/v1/handler.grpc.pb.h"
#include "sdk/cpp/call.h"
#include "sdk/cpp/live_endpoint.h"
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

absl::StatusOr<std::string> EndpointOf(const Live& live, const std::string& address) {
  if (!live.advertise.empty()) return live.advertise;
  if (absl::StartsWith(address, "0.0.0.0:") || absl::StartsWith(address, "[::]:")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no host can call ", address, "; set `advertise` to the endpoint as hosts see it"));
  }
  return absl::StartsWith(address, "unix:") ? address : absl::StrCat("grpc://", address);
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
  std::vector<std::shared_ptr<LiveEndpoint>> live ABSL_GUARDED_BY(mutex);
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

absl::Status Server::GoLive(const Live& live, State* state) {
  ASSIGN_OR_RETURN(const std::string endpoint, EndpointOf(live, state->address));
  std::vector<std::string> names = live.names;
  if (names.empty()) {
    for (const auto& [name, handler] : state->settings.handlers) names.push_back(name);
  }
  MutexLock lock(&state->mutex);
  for (const std::string& name : names) {
    state->live.push_back(std::make_shared<LiveEndpoint>(live, name, endpoint));
  }
  for (const auto& one : state->live) RETURN_IF_ERROR(one->AwaitFirst());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServeOptions options, Handlers handlers) {
  if (options.listen.empty())
    return absl::InvalidArgumentError("`listen` is empty; write HOST:PORT or unix:PATH");
  const std::function<void(const std::string&)> on_listening = options.on_listening;
  const std::optional<Live> live = options.live;
  auto state = std::make_unique<State>(std::move(options), std::move(handlers));

  // Of the whole process, since gRPC knows no other way.
  grpc::EnableDefaultHealthCheckService(true);
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
  grpc::HealthCheckServiceInterface& health = *state->server->GetHealthCheckService();
  for (const auto& [name, handler] : state->settings.handlers) {
    health.SetServingStatus(name, true);
  }
  if (live.has_value()) RETURN_IF_ERROR(GoLive(*live, state.get()));
  if (on_listening) on_listening(state->address);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { Stop(); }

const std::string& Server::address() const { return state_->address; }

int Server::port() const { return state_->port; }

void Server::SetServing(bool serving) {
  state_->server->GetHealthCheckService()->SetServingStatus(serving);
}

void Server::Drain() {
  SetServing(false);
  std::vector<std::shared_ptr<LiveEndpoint>> live;
  {
    MutexLock lock(&state_->mutex);
    live = state_->live;
  }
  std::vector<std::thread> draining;
  for (const auto& one : live) draining.emplace_back([one] { one->Drain(); });
  for (std::thread& one : draining) one.join();
}

void Server::Stop(std::chrono::milliseconds grace) {
  std::vector<std::shared_ptr<LiveEndpoint>> live;
  {
    MutexLock lock(&state_->mutex);
    if (std::exchange(state_->stopped, true)) return;
    live.swap(state_->live);
  }
  live.clear();
  state_->server->Shutdown(std::chrono::system_clock::now() + grace);
  state_->server->Wait();
  state_->pool = nullptr;
}

}  // namespace handler_sdk
}  // namespace sallyport
