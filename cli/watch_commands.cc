// Policy as it changes, and how far hosts enforce it.

#include <signal.h>

#include <atomic>
#include <memory>
#include <thread>

#include "cli/command.h"
#include "cli/watch_event.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

// Ends a call at Ctrl-C. Make it before gRPC starts threads: they inherit the blocked signals.
class Interrupt {
 public:
  Interrupt() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }

  // REQUIRES: `context` outlives the process's last signal, which ends the process.
  void Cancels(grpc::ClientContext* context) {
    std::thread([this, context] {
      int signal = 0;
      sigwait(&signals_, &signal);
      happened_ = true;
      context->TryCancel();
    }).detach();
  }
  bool happened() const { return happened_; }

 private:
  sigset_t signals_;
  std::atomic<bool> happened_ = false;
};

int Watch(const CommonFlags& common, const std::string& container_id) {
  // Both are read by a thread that ends with the process.
  static Interrupt interrupt;
  static grpc::ClientContext context;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  v1::WatchRequest request;
  request.set_container_id(container_id);
  const auto stream = stub->Watch(&context, request);
  interrupt.Cancels(&context);
  WatchFormatter formatter;
  v1::WatchResponse event;
  while (stream->Read(&event)) {
    const std::string line = common.json ? ToJson(event) : formatter.Line(event);
    if (line.empty()) continue;
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
  const grpc::Status status = stream->Finish();
  if (interrupt.happened()) return kDone;
  if (!status.ok()) return connection.Report(status);
  std::fprintf(stderr, "sallyport: the control plane ended the watch\n");
  return kRefused;
}

int WatchEverything(const Arguments& arguments) {
  FlagSet flags("sallyport watch",
                "Prints what there is, then each change and how far each host enforces it, a line "
                "each, until Ctrl-C.");
  flags.set_example("sallyport watch --container web-1");
  CommonFlags common;
  std::string container_id;
  common.AddTo(&flags);
  flags.String("container", &container_id, "ID",
               "Only this container, its class, its handlers and its host.");
  flags.ParseOrExit(arguments);
  return Watch(common, container_id);
}

int WatchContainer(const Arguments& arguments) {
  FlagSet flags(
      "sallyport container watch",
      "Prints a container, its class, its handlers and its host, then each change, a line "
      "each, until Ctrl-C.",
      Positional::kAnywhere);
  flags.set_arguments("CONTAINER");
  flags.set_example("sallyport container watch web-1");
  CommonFlags common;
  common.AddTo(&flags);
  const Arguments words = flags.ParseOrExit(arguments);
  if (words.size() != 1) return WrongUsage("container watch", "give one container id");
  return Watch(common, words[0]);
}

}  // namespace

void AddWatchCommands(std::vector<Command>* commands) {
  commands->push_back({"watch", "Prints each change of policy.", WatchEverything});
  commands->push_back({"container watch", "Prints each change of a container.", WatchContainer});
}

}  // namespace sallyport::cli
