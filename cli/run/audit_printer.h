// Prints what leaves a sandbox while it runs.

#ifndef SALLYPORT_CLI_RUN_AUDIT_PRINTER_H_
#define SALLYPORT_CLI_RUN_AUDIT_PRINTER_H_

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "proto/sallyport/v1/audit.pb.h"

namespace sallyport::cli {

// One record as people read it:
//  12:01:07.113 egress  GET  https://registry.pkgs.example/left-pad   200   41 ms
//  12:01:07.391 deny    GET  https://pastebin.com/raw/x            520          not_allowed
// Local time. No control characters.
std::string FormatAuditRecord(const v1::AuditRecord& record);
// The line as it is, if it is no record.
std::string FormatAuditLine(const std::string& json_line);

// Reads the records of one container from a pipe on a thread of its own.
class AuditPrinter {
 public:
  enum class Print { kNothing, kText, kJson };
  // `file`: where lines are appended, or empty.
  static absl::StatusOr<std::unique_ptr<AuditPrinter>> Start(Print print, const std::string& file);
  ~AuditPrinter();

  // What the agent is to open for writing.
  std::string path() const;
  // Call when the agent has opened it: from then on the pipe ends when the agent lets go of it.
  void AgentHasIt() { write_end_.Reset(); }
  // Returns when everything that was written has been printed, or after two seconds.
  void Drain();

 private:
  AuditPrinter(Print print, UniqueFd read_end, UniqueFd write_end, UniqueFd file);
  void ReadAll();
  void Handle(const std::string& line);

  const Print print_;
  UniqueFd read_end_;
  UniqueFd write_end_;
  const UniqueFd file_;
  UniqueFd stop_read_;
  UniqueFd stop_write_;
  std::thread thread_;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_AUDIT_PRINTER_H_
