#include "cli/audit/record_reader.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::cli {

std::optional<v1::AuditRecord> ParseAuditRecord(const std::string& line) {
  v1::AuditRecord record;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  if (!line.starts_with('{') ||
      !google::protobuf::util::JsonStringToMessage(line, &record, options).ok()) {
    return std::nullopt;
  }
  return record;
}

void RecordReader::ReadStream(std::istream& stream, const Use& use) {
  std::string line;
  while (std::getline(stream, line)) {
    if (line.empty()) continue;
    if (const std::optional<v1::AuditRecord> record = ParseAuditRecord(line); record.has_value()) {
      ++counts_.records;
      use(*record);
    } else {
      // The last line has no newline that getline could have met.
      ++(stream.eof() ? counts_.torn : counts_.unreadable);
    }
  }
}

absl::Status RecordReader::ReadFile(const std::string& path, const Use& use) {
  if (path == "-") {
    ReadStream(std::cin, use);
    return absl::OkStatus();
  }
  std::ifstream file(path, std::ios::binary);
  // A folder opens, and fails at the first byte.
  if (!file || std::filesystem::is_directory(path))
    return absl::NotFoundError(StrCat("cannot read ", path));
  if (file.peek() == 0x1f) {
    return absl::InvalidArgumentError(
        StrCat(path, " is compressed; write `zcat ", path, " | sallyport … --audit -`"));
  }
  ReadStream(file, use);
  return absl::OkStatus();
}

std::vector<std::string> WithRotated(const std::string& path) {
  using Entry = std::pair<std::filesystem::file_time_type, std::string>;
  std::vector<Entry> rotated;
  const std::filesystem::path file(path);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), error)) {
    const std::string name = entry.path().filename().string();
    const std::string stem = file.filename().string();
    if (!name.starts_with(stem) || name.size() == stem.size()) continue;
    // A number or a date behind the name, and nothing else: no .gz, no editor's copy.
    const bool is_rotated =
        (name[stem.size()] == '.' || name[stem.size()] == '-') &&
        name.find_first_not_of("0123456789-", stem.size() + 1) == std::string::npos &&
        name.size() > stem.size() + 1;
    if (is_rotated) rotated.emplace_back(entry.last_write_time(error), entry.path().string());
  }
  std::sort(rotated.begin(), rotated.end());
  std::vector<std::string> paths;
  for (Entry& entry : rotated) paths.push_back(std::move(entry.second));
  paths.push_back(path);
  return paths;
}

}  // namespace sallyport::cli
