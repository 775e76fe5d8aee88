#include "agent/proxy/audit/tap.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/audit/json_line.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport::proxy {
namespace {

AuditRecord Numbered(uint64_t number) {
  AuditRecord record;
  record.container_id = "c-1";
  record.decision = "egress";
  record.revision = number;
  return record;
}

class AuditTapTest : public testing::Test {
 protected:
  void Open() {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_.Reset(ends[0]);
    tap_.Open(UniqueFd(ends[1]));
  }
  // nullopt: there is no more.
  std::optional<v1::AuditEntry> Next() {
    char buffer[4096];
    const ssize_t size = recv(ours_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size <= 0) return std::nullopt;
    v1::AuditEntry entry;
    EXPECT_TRUE(entry.ParseFromArray(buffer, static_cast<int>(size)));
    return entry;
  }

  AuditTap tap_;
  UniqueFd ours_;
};

TEST_F(AuditTapTest, SaysWhatTheFileSays) {
  Open();
  AuditRecord record = Numbered(7);
  record.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'123));
  record.method = "GET";
  record.path = "/\xff\x1b\xc3\xa4";
  record.lease = true;
  record.status = 200;
  tap_.Write(record);
  const std::optional<v1::AuditEntry> entry = Next();
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->missing(), 0u);
  std::string line;
  AppendJsonLine(record, &line);
  EXPECT_EQ(ToJsonLine(entry->record()) + "\n", line);
}

TEST_F(AuditTapTest, WhatDoesNotFitIsCountedInTheNextPacket) {
  Open();
  constexpr uint64_t kRecords = 100'000;
  for (uint64_t number = 1; number <= kRecords; ++number) tap_.Write(Numbered(number));
  uint64_t taken = 0;
  while (Next().has_value()) ++taken;
  ASSERT_GT(taken, 0u);
  ASSERT_LT(taken, kRecords);
  tap_.Write(Numbered(kRecords + 1));
  const std::optional<v1::AuditEntry> last = Next();
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->record().revision(), kRecords + 1);
  EXPECT_EQ(taken + last->missing(), kRecords);
}

TEST_F(AuditTapTest, WorkersShareIt) {
  Open();
  constexpr uint64_t kEach = 20'000;
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([this] {
      for (uint64_t number = 0; number < kEach; ++number) tap_.Write(Numbered(number));
    });
  }
  for (std::thread& worker : workers) worker.join();
  uint64_t counted = 0;
  while (const std::optional<v1::AuditEntry> entry = Next()) counted += 1 + entry->missing();
  tap_.Write(Numbered(0));
  counted += Next()->missing();
  EXPECT_EQ(counted, 4 * kEach);
}

TEST_F(AuditTapTest, ClosedByEitherEndItTakesNothing) {
  tap_.Write(Numbered(1));
  Open();
  tap_.Close();
  tap_.Write(Numbered(2));
  EXPECT_FALSE(Next().has_value());
  Open();
  ours_.Reset();
  tap_.Write(Numbered(3));
  Open();
  tap_.Write(Numbered(4));
  const std::optional<v1::AuditEntry> entry = Next();
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->record().revision(), 4u);
  EXPECT_EQ(entry->missing(), 0u);
}

}  // namespace
}  // namespace sallyport::proxy
