// One line a message on stderr: time, level, program, text. Text is escaped: control bytes never
// reach a terminal.

#ifndef SALLYPORT_COMMON_BASE_LOG_H_
#define SALLYPORT_COMMON_BASE_LOG_H_

#include <chrono>
#include <string>
#include <string_view>

#include "common/base/strings.h"

namespace sallyport {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Set once in main, before threads start. Defaults: kInfo, "sallyport".
void SetLogLevel(LogLevel level);
void SetLogProgram(std::string_view program);

// The line as it is written, newline included: "2024-05-01T12:00:00.000Z warning sallyport: TEXT".
// Time is UTC. At most 4 KiB of text; the rest is cut off.
std::string FormatLogLine(LogLevel level, std::chrono::system_clock::time_point now,
                          std::string_view program, std::string_view text);

// Thread-safe. Writes one line with one write(2).
void LogLine(LogLevel level, std::string_view text);

template <typename... Args>
void LogDebug(const Args&... args) {
  LogLine(LogLevel::kDebug, StrCat(args...));
}
template <typename... Args>
void LogInfo(const Args&... args) {
  LogLine(LogLevel::kInfo, StrCat(args...));
}
template <typename... Args>
void LogWarning(const Args&... args) {
  LogLine(LogLevel::kWarning, StrCat(args...));
}
template <typename... Args>
void LogError(const Args&... args) {
  LogLine(LogLevel::kError, StrCat(args...));
}

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_LOG_H_
