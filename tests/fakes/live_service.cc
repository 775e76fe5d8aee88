// A service that registers itself: answers with its name, after `/wait/MILLISECONDS` so long. Where
// it does not register itself, SIGUSR1 and SIGUSR2: its health goes bad and is well again. The same
// as live_service.py, by the SDK for C++.

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/flags/flags.h"
#include "sallyport/handler.h"

namespace {

using sallyport::Context;
using sallyport::Request;
using sallyport::Respond;

constexpr char kWait[] = "/wait/";

sallyport::Handlers NamedHandlers(const std::string& name) {
  return {{"live", [name](const Request& request, const Context&) {
             if (request.path().starts_with(kWait)) {
               const int ms = std::atoi(request.path().c_str() + sizeof(kWait) - 1);
               std::this_thread::sleep_for(std::chrono::milliseconds(ms));
             }
             return Respond(200, name);
           }}};
}

// Registered by the test.
int ServeByHand(sallyport::ServeOptions options, sallyport::Handlers handlers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto server = sallyport::Server::Start(std::move(options), std::move(handlers));
  if (!server.ok()) return 1;
  int number = 0;
  while (sigwait(&signals, &number) == 0 && number != SIGTERM) {
    (*server)->SetServing(number == SIGUSR2);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:0";
  std::string control_plane;
  int64_t grace_period = 0;
  sallyport::FlagSet flags("live_service", "A service that registers itself: live_service NAME.",
                           sallyport::Positional::kAnywhere);
  flags.String("listen", &listen, "ADDRESS", "Where to listen.");
  flags.String("control-plane", &control_plane, "ADDRESS", "Where to register; empty: nowhere.");
  flags.Int("grace-period", &grace_period, 0, 600, "SECONDS", "For which the endpoint stays.");
  const std::vector<std::string> names = flags.ParseOrExit({argv + 1, argv + argc});
  if (names.size() != 1) {
    std::fputs("usage: live_service NAME\n", stderr);
    return 2;
  }
  sallyport::ServeOptions options{.listen = listen, .on_listening = [](const std::string& address) {
                                    std::printf("listening on %s\n", address.c_str());
                                    std::fflush(stdout);
                                  }};
  if (control_plane.empty()) return ServeByHand(std::move(options), NamedHandlers(names[0]));
  options.live = sallyport::Live{.control_plane = control_plane,
                                 .grace_period = std::chrono::seconds(grace_period)};
  return sallyport::Serve(std::move(options), NamedHandlers(names[0]));
}
