// How much is logged, changed while a program runs.

#ifndef SALLYPORT_COMMON_BASE_LOG_LEVEL_H_
#define SALLYPORT_COMMON_BASE_LOG_LEVEL_H_

#include <signal.h>

#include <optional>
#include <string_view>

#include "common/base/log.h"

namespace sallyport {

// "debug", "info", "warning" or "error".
std::string_view LogLevelName(LogLevel level);
// nullopt: none of them.
std::optional<LogLevel> ParseLogLevel(std::string_view name);

// The level of a program whose main thread waits for signals: SIGUSR1 logs a level more, SIGUSR2 a
// level less. For that thread only.
class LogLevelSignals {
 public:
  static void AddTo(sigset_t* signals);
  // Changes the level, and says so at any level. nullopt: it is another signal.
  std::optional<LogLevel> Take(int signal);

 private:
  LogLevel level_ = LogLevel::kInfo;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_LOG_LEVEL_H_
