#include <pthread.h>

#include <csignal>
#include <utility>

#include "common/base/log.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {
namespace {

constexpr std::chrono::seconds kGrace{5};
constexpr std::chrono::seconds kGraceLive{10};  // No new calls come.

}  // namespace

int Serve(ServeOptions options, Handlers handlers) {
  // Blocked here and so in every thread that starts from here: they wait for sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &signals, &before);

  const std::chrono::seconds grace = options.live.has_value() ? kGraceLive : kGrace;
  int exit_code = 0;
  const absl::StatusOr<std::unique_ptr<Server>> server =
      Server::Start(std::move(options), std::move(handlers));
  if (server.ok()) {
    int signal = 0;
    sigwait(&signals, &signal);
    (*server)->Drain();
    (*server)->Stop(grace);
  } else {
    LogError(std::string(server.status().message()));
    exit_code = 1;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return exit_code;
}

}  // namespace handler_sdk
}  // namespace sallyport
