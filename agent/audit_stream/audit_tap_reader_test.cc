#include "agent/audit_stream/audit_tap_reader.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <thread>

namespace sallyport::agent {
namespace {

class AuditTapReaderTest : public testing::Test {
 protected:
  void Open(const AuditFilters& filters) {
    auto tap = AuditTapReader::Open(filters, &writer_);
    ASSERT_TRUE(tap.ok()) << tap.status();
    tap_ = *std::move(tap);
  }
  static v1::AuditFilter Of(const std::string& container) {
    v1::AuditFilter filter;
    filter.set_container_id(container);
    return filter;
  }
  void Send(const std::string& packet) {
    ASSERT_EQ(send(writer_.get(), packet.data(), packet.size(), MSG_DONTWAIT),
              static_cast<ssize_t>(packet.size()));
  }
  void Write(const std::string& container, const std::string& path, uint64_t missing = 0) {
    v1::AuditEntry entry;
    entry.mutable_record()->set_container_id(container);
    entry.mutable_record()->set_path(path);
    entry.set_missing(missing);
    Send(entry.SerializeAsString());
  }
  // What is read at once, as "PATH +MISSING, …".
  std::string Read(size_t max_bytes = 1 << 20) {
    const auto entries = tap_->Read(max_bytes);
    if (!entries.has_value()) return "closed";
    std::string text;
    for (const v1::AuditEntry& entry : entries->entries()) {
      text += (text.empty() ? "" : ", ") + entry.record().path();
      if (entry.missing() > 0) text += " +" + std::to_string(entry.missing());
    }
    return text;
  }

  UniqueFd writer_;
  std::unique_ptr<AuditTapReader> tap_;
};

TEST_F(AuditTapReaderTest, ReadsWhatOneOfTheFiltersWants) {
  Open({Of("a"), Of("b")});
  Write("a", "/1");
  Write("c", "/2");
  Write("b", "/3");
  EXPECT_EQ(Read(), "/1, /3");
  tap_->SetFilters({Of("c")});
  Write("a", "/4");
  Write("c", "/5");
  EXPECT_EQ(Read(), "/5");
}

TEST_F(AuditTapReaderTest, WhatIsMissingIsSaidWithTheNextWantedRecord) {
  Open({Of("a")});
  Write("b", "/1", 7);
  Send("no entry \xff");
  Write("a", "/2", 2);
  Write("a", "/3");
  EXPECT_EQ(Read(), "/2 +10, /3");
}

TEST_F(AuditTapReaderTest, APacketThatIsTooLargeIsMissing) {
  Open({{}});
  Write("a", std::string(100'000, 'x'));
  Write("a", "/2");
  EXPECT_EQ(Read(), "/2 +1");
}

TEST_F(AuditTapReaderTest, TakesABatchAtATime) {
  Open({{}});
  for (int i = 0; i < 3; ++i) Write("a", "/" + std::to_string(i));
  EXPECT_EQ(Read(1), "/0");
  EXPECT_EQ(Read(), "/1, /2");
}

TEST_F(AuditTapReaderTest, EndsWhenItIsClosedAndWhenAllWritersAreGone) {
  Open({{}});
  std::string read;
  std::thread reader([&] { read = Read(); });
  tap_->Close();
  reader.join();
  EXPECT_EQ(read, "closed");
  Open({{}});
  Write("a", "/1");
  writer_.Reset();
  EXPECT_EQ(Read(), "/1");
  EXPECT_EQ(Read(), "closed");
}

}  // namespace
}  // namespace sallyport::agent
