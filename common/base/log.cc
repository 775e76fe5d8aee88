#include "common/base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <ctime>

namespace sallyport {
namespace {

constexpr size_t kMaxText = 4096;

std::atomic<LogLevel> minimum_level = LogLevel::kInfo;

// Written once, before threads start; never destroyed, because threads may log until the process
// ends.
std::string& Program() {
  static std::string& program = *new std::string("sallyport");
  return program;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

// Backslashes are escaped too, so that an escape in a log is never text that someone sent.
void AppendEscaped(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out->append("\\n");
    } else if (c == '\\') {
      out->append("\\\\");
    } else if (byte < 0x20 || byte >= 0x7f) {
      out->append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    } else {
      out->push_back(c);
    }
  }
}

}  // namespace

void SetLogLevel(LogLevel level) { minimum_level.store(level, std::memory_order_relaxed); }

void SetLogProgram(std::string_view program) { Program() = program; }

std::string FormatLogLine(LogLevel level, std::chrono::system_clock::time_point now,
                          std::string_view program, std::string_view text) {
  const auto since_epoch = now.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch - seconds);
  const std::time_t time = seconds.count();
  std::tm utc;
  gmtime_r(&time, &utc);
  char stamp[48];
  std::snprintf(stamp, sizeof(stamp), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(milliseconds.count()));
  std::string line = StrCat(stamp, LevelName(level), " ", program, ": ");
  AppendEscaped(text.substr(0, kMaxText), &line);
  if (text.size() > kMaxText) line.append(" [cut]");
  line.push_back('\n');
  return line;
}

void LogLine(LogLevel level, std::string_view text) {
  if (level < minimum_level.load(std::memory_order_relaxed)) return;
  const std::string line = FormatLogLine(level, std::chrono::system_clock::now(), Program(), text);
  // A log that cannot be written is not worth an error path.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace sallyport
