// Audit records from files of JSON lines, as the proxy writes them.

#ifndef SALLYPORT_CLI_AUDIT_RECORD_READER_H_
#define SALLYPORT_CLI_AUDIT_RECORD_READER_H_

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proto/sallyport/v1/audit.pb.h"

namespace sallyport::cli {

// Where sallyport-agent writes, unless it is told otherwise.
inline constexpr char kDefaultAuditFile[] = "/var/lib/sallyport-agent/audit.jsonl";

// nullopt: the line is no record. Fields that this version does not know are left out.
std::optional<v1::AuditRecord> ParseAuditRecord(const std::string& line);

// Reads whole files. A record that was cut off at the end of a file, by a writer that is at it or
// was killed, is left out and counted apart from lines that are no records.
class RecordReader {
 public:
  struct Counts {
    uint64_t records = 0;
    uint64_t unreadable = 0;
    uint64_t torn = 0;
  };
  using Use = std::function<void(const v1::AuditRecord& record)>;

  void ReadStream(std::istream& stream, const Use& use);
  // `-` is stdin. NOT_FOUND: it cannot be read; INVALID_ARGUMENT: it is compressed.
  absl::Status ReadFile(const std::string& path, const Use& use);

  const Counts& counts() const { return counts_; }

 private:
  Counts counts_;
};

// `path` and what log rotation made of it (`path.1`, `path-20251128`), oldest first. Compressed
// ones are left out.
std::vector<std::string> WithRotated(const std::string& path);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_AUDIT_RECORD_READER_H_
