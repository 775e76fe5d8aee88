// Runs coroutines to their end, in tests.

#ifndef SALLYPORT_AGENT_PROXY_TESTING_RUN_H_
#define SALLYPORT_AGENT_PROXY_TESTING_RUN_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Runs `context` until `task` has ended, and returns what it returned. Ends the program if the task
// hangs.
template <typename T>
T RunTask(boost::asio::io_context& context, Task<T> task) {
  std::optional<T> result;
  boost::asio::co_spawn(context, std::move(task), [&result](std::exception_ptr thrown, T value) {
    if (thrown) std::terminate();
    result = std::move(value);
  });
  context.restart();
  while (!result.has_value() && context.run_one_for(std::chrono::seconds(30)) > 0) {
  }
  if (!result.has_value()) {
    std::fprintf(stderr, "a coroutine waits for something that does not come\n");
    std::abort();
  }
  return *std::move(result);
}

// Starts `task` beside others; it ends by itself.
inline void Start(boost::asio::io_context& context, Task<void> task) {
  boost::asio::co_spawn(context, std::move(task), [](std::exception_ptr thrown) {
    if (thrown) std::terminate();
  });
}

// Runs whatever can run now.
inline void RunReady(boost::asio::io_context& context) {
  context.restart();
  context.poll();
}

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TESTING_RUN_H_
