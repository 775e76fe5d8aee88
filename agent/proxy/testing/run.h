// Runs coroutines to their end, in tests.

#ifndef SALLYPORT_AGENT_PROXY_TESTING_RUN_H_
#define SALLYPORT_AGENT_PROXY_TESTING_RUN_H_

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Runs `context` until `task` has ended, and what is ready then, and returns what it came to. Ends
// the program if the task hangs.
template <typename T>
T RunTask(boost::asio::io_context& context, Task<T> task) {
  std::optional<T> result;
  Spawn(context, std::move(task), [&result](T value) { result = std::move(value); });
  context.restart();
  while (!result.has_value() && context.run_one_for(std::chrono::seconds(30)) > 0) {
  }
  if (!result.has_value()) {
    std::fprintf(stderr, "a coroutine waits for something that does not come\n");
    std::abort();
  }
  context.poll();
  return *std::move(result);
}

// Runs whatever can run now.
inline void RunReady(boost::asio::io_context& context) {
  context.restart();
  context.poll();
}

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TESTING_RUN_H_
