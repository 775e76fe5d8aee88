#include "cli/audit/record_reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sallyport::cli {
namespace {

std::vector<std::string> HostsIn(const std::string& text, RecordReader* reader) {
  std::vector<std::string> hosts;
  std::istringstream stream(text);
  reader->ReadStream(stream,
                     [&](const v1::AuditRecord& record) { hosts.push_back(record.host()); });
  return hosts;
}

TEST(RecordReaderTest, ReadsRecordsAndCountsTheRest) {
  RecordReader reader;
  EXPECT_EQ(HostsIn("{\"host\":\"a.com\",\"port\":443,\"revision\":7,\"newField\":1}\n"
                    "no record\n\n[]\n{\"host\":\"b.com\"}\n{\"host\":\"c.c",
                    &reader),
            (std::vector<std::string>{"a.com", "b.com"}));
  EXPECT_EQ(reader.counts().records, 2u);
  EXPECT_EQ(reader.counts().unreadable, 2u);
  EXPECT_EQ(reader.counts().torn, 1u);
}

TEST(RecordReaderTest, AWholeLastLineWithoutNewlineCounts) {
  RecordReader reader;
  EXPECT_EQ(HostsIn("{\"host\":\"a.com\"}", &reader), std::vector<std::string>{"a.com"});
  EXPECT_EQ(reader.counts().torn, 0u);
}

// Cut off anywhere, the line is read or counted, never half used.
TEST(RecordReaderTest, TornAtEachByte) {
  const std::string line = "{\"containerId\":\"web-1\",\"host\":\"abc.com\",\"wouldDeny\":\"x\"}";
  for (size_t length = 1; length < line.size(); ++length) {
    RecordReader reader;
    EXPECT_TRUE(HostsIn(line.substr(0, length), &reader).empty()) << length;
    EXPECT_EQ(reader.counts().torn, 1u) << length;
  }
}

TEST(RecordReaderTest, SaysWhatCannotBeRead) {
  const auto unused = [](const v1::AuditRecord&) {};
  const std::string compressed = testing::TempDir() + "/audit.gz";
  std::ofstream(compressed) << "\x1f\x8b\x08";
  RecordReader reader;
  EXPECT_EQ(reader.ReadFile("/none/audit", unused).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(reader.ReadFile("/", unused).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(reader.ReadFile(compressed, unused).code(), absl::StatusCode::kInvalidArgument);
}

TEST(RecordReaderTest, FindsRotatedFilesOldestFirst) {
  const std::string path = (std::filesystem::path(testing::TempDir()) / "audit.jsonl").string();
  const auto now = std::filesystem::file_time_type::clock::now();
  int age = 0;
  for (const char* end : {"", ".1", "-20251128", ".2.gz", ".bak", "~"}) {
    std::ofstream(path + end) << "x";
    std::filesystem::last_write_time(path + end, now - std::chrono::hours(age++));
  }
  EXPECT_EQ(WithRotated(path), (std::vector<std::string>{path + "-20251128", path + ".1", path}));
}

}  // namespace
}  // namespace sallyport::cli
