#include "cli/run/audit_printer.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

constexpr int kDrainMilliseconds = 2000;

std::string LocalTime(const std::string& rfc3339) {
  google::protobuf::Timestamp timestamp;
  if (!google::protobuf::util::TimeUtil::FromString(rfc3339, &timestamp)) return rfc3339;
  const std::time_t seconds = static_cast<std::time_t>(timestamp.seconds());
  std::tm local = {};
  localtime_r(&seconds, &local);
  return absl::StrFormat("%02d:%02d:%02d.%03d", local.tm_hour, local.tm_min, local.tm_sec,
                         timestamp.nanos() / 1'000'000);
}

// What was asked for: a URL, or a name and port.
std::string Target(const v1::AuditRecord& record) {
  const std::string host = record.host().empty() ? record.dialled() : record.host();
  const bool usual = (record.scheme() == "http" && record.port() == 80) ||
                     (record.scheme() == "https" && record.port() == 443);
  const std::string port = usual ? "" : StrCat(":", record.port());
  if (record.scheme() == "http" || record.scheme() == "https")
    return StrCat(record.scheme(), "://", host, port, record.path());
  return StrCat(record.scheme(), " ", host, port);
}

// What a container chose must not move the cursor of whoever looks. `text` is UTF-8.
std::string WithoutControls(std::string text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7f) text[i] = '?';
    // U+0080 to U+009F.
    const bool c1 =
        byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1) text.replace(i, 2, "?");
  }
  return text;
}

void WriteAll(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    done += static_cast<size_t>(written);
  }
}

}  // namespace

std::string FormatAuditLine(const std::string& json_line) {
  v1::AuditRecord record;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (!google::protobuf::util::JsonStringToMessage(json_line, &record, options).ok())
    return json_line;
  return FormatAuditRecord(record);
}

std::string FormatAuditRecord(const v1::AuditRecord& record) {
  const std::string status = record.status() == 0 ? "" : StrCat(record.status());
  const std::string time = record.decision() == "deny"
                               ? ""
                               : absl::StrFormat("%d ms", (record.duration_us() + 500) / 1000);
  std::string line =
      absl::StrFormat(" %s %-7s %-4s %s   %3s %7s  %s", LocalTime(record.time()), record.decision(),
                      record.method(), Target(record), status, time,
                      record.reason().empty() ? record.handler() : record.reason());
  if (!record.reason().empty() && !record.handler().empty())
    line = StrCat(line, " ", record.handler());
  return WithoutControls(line.substr(0, line.find_last_not_of(' ') + 1));
}

absl::StatusOr<std::unique_ptr<AuditPrinter>> AuditPrinter::Start(Print print,
                                                                  const std::string& file) {
  UniqueFd opened;
  if (!file.empty()) {
    opened.Reset(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!opened.valid()) return absl::ErrnoToStatus(errno, "cannot open " + file);
  }
  int records[2];
  int stop[2];
  if (pipe2(records, O_CLOEXEC) != 0 || pipe2(stop, O_CLOEXEC) != 0)
    return absl::ErrnoToStatus(errno, "cannot make a pipe");
  std::unique_ptr<AuditPrinter> printer(
      new AuditPrinter(print, UniqueFd(records[0]), UniqueFd(records[1]), std::move(opened)));
  // Room for bursts: what does not fit is lost, because the proxy never waits for a reader.
  fcntl(records[1], F_SETPIPE_SZ, 1 << 20);
  printer->stop_read_.Reset(stop[0]);
  printer->stop_write_.Reset(stop[1]);
  printer->thread_ = std::thread([raw = printer.get()] { raw->ReadAll(); });
  return printer;
}

AuditPrinter::AuditPrinter(Print print, UniqueFd read_end, UniqueFd write_end, UniqueFd file)
    : print_(print),
      read_end_(std::move(read_end)),
      write_end_(std::move(write_end)),
      file_(std::move(file)) {}

AuditPrinter::~AuditPrinter() { Drain(); }

std::string AuditPrinter::path() const {
  return StrCat("/proc/", getpid(), "/fd/", write_end_.get());
}

void AuditPrinter::Drain() {
  if (!thread_.joinable()) return;
  write_end_.Reset();
  stop_write_.Reset();
  thread_.join();
}

void AuditPrinter::ReadAll() {
  std::string pending;
  char buffer[65536];
  bool stopping = false;
  while (true) {
    pollfd waits[2] = {{read_end_.get(), POLLIN, 0}, {stopping ? -1 : stop_read_.get(), 0, 0}};
    const int ready = poll(waits, 2, stopping ? kDrainMilliseconds : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return;
    stopping = stopping || waits[1].revents != 0;
    if (waits[0].revents == 0) continue;
    const ssize_t count = read(read_end_.get(), buffer, sizeof(buffer));
    if (count <= 0) return;
    pending.append(buffer, static_cast<size_t>(count));
    size_t end;
    while ((end = pending.find('\n')) != std::string::npos) {
      Handle(pending.substr(0, end));
      pending.erase(0, end + 1);
    }
  }
}

void AuditPrinter::Handle(const std::string& line) {
  if (file_.valid()) WriteAll(file_.get(), line + "\n");
  if (print_ != Print::kNothing)
    WriteAll(STDERR_FILENO, (print_ == Print::kJson ? line : FormatAuditLine(line)) + "\n");
}

}  // namespace sallyport::cli
