#include "common/base/log_level.h"

#include <array>
#include <cstddef>

namespace sallyport {
namespace {

// In the order of the enum.
constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warning", "error"};

}  // namespace

std::string_view LogLevelName(LogLevel level) { return kNames[static_cast<size_t>(level)]; }

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

void LogLevelSignals::AddTo(sigset_t* signals) {
  sigaddset(signals, SIGUSR1);
  sigaddset(signals, SIGUSR2);
}

std::optional<LogLevel> LogLevelSignals::Take(int signal) {
  if (signal != SIGUSR1 && signal != SIGUSR2) return std::nullopt;
  const int step = signal == SIGUSR1 ? -1 : 1;
  const int next = static_cast<int>(level_) + step;
  if (next >= static_cast<int>(LogLevel::kDebug) && next <= static_cast<int>(LogLevel::kError))
    level_ = static_cast<LogLevel>(next);
  SetLogLevel(level_);
  LogLine(LogLevel::kError, StrCat("what is logged from here on: ", LogLevelName(level_)));
  return level_;
}

}  // namespace sallyport
