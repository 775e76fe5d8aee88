// One line a message on stderr: time, level, program, text. Text is escaped: control bytes never reach a terminal.

#ifndef SALLYPORT_COMMON_BASE_LOG_H_
#define SALLYPORT_COMMON_BASE_LOG_H_

#include <string_view>

#include "absl/strings/str_cat.h"

namespace sallyport {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Set once in main, before threads start. Defaults: kInfo, "sallyport".
void SetLogLevel(LogLevel level);
void SetLogProgram(std::string_view program);

// Thread-safe. Writes one line with one write(2).
void LogLine(LogLevel level, std::string_view text);

template <typename... Args>
void LogDebug(const Args&... args) {
  LogLine(LogLevel::kDebug, absl::StrCat(args...));
}
template <typename... Args>
void LogInfo(const Args&... args) {
  LogLine(LogLevel::kInfo, absl::StrCat(args...));
}
template <typename... Args>
void LogWarning(const Args&... args) {
  LogLine(LogLevel::kWarning, absl::StrCat(args...));
}
template <typename... Args>
void LogError(const Args&... args) {
  LogLine(LogLevel::kError, absl::StrCat(args...));
}

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_LOG_H_
