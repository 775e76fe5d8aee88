#include "agent/proxy/audit/sink.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

namespace sallyport::proxy {
namespace {

// A stream that takes lines in part when it is nearly full.
class AuditSinkTest : public testing::Test {
 protected:
  AuditSinkTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    ours_ = UniqueFd(ends[0]);
    sink_.emplace(UniqueFd(ends[1]));
  }

  std::string ReadAll() {
    std::string all;
    std::array<char, 64 * 1024> buffer;
    ssize_t count;
    while ((count = read(ours_.get(), buffer.data(), buffer.size())) > 0)
      all.append(buffer.data(), static_cast<size_t>(count));
    return all;
  }

  UniqueFd ours_;
  std::optional<AuditSink> sink_;
};

TEST_F(AuditSinkTest, WritesLinesAsTheyAre) {
  sink_->Write("one\n");
  sink_->Write("two\nthree\n");
  EXPECT_EQ(ReadAll(), "one\ntwo\nthree\n");
  EXPECT_EQ(sink_->lost(), 0U);
}

TEST_F(AuditSinkTest, LinesThatAreNotTakenWholeAreCountedOneByOne) {
  const std::string line = std::string(40'000, 'x') + "\n";
  constexpr int kLinesAtOnce = 3;
  std::string lines;
  for (int i = 0; i < kLinesAtOnce; ++i) lines += line;
  uint64_t written = 0;
  while (sink_->lost() == 0) {
    sink_->Write(lines);
    written += kLinesAtOnce;
  }
  // Still nobody reads.
  sink_->Write(lines);
  written += kLinesAtOnce;
  std::string taken = ReadAll();
  sink_->Write("last\n");
  taken += ReadAll();
  ASSERT_TRUE(taken.ends_with("\nlast\n"));
  uint64_t whole = 0;
  for (size_t at = 0; at < taken.size();) {
    const size_t end = taken.find('\n', at) + 1;
    whole += taken.substr(at, end - at) == line ? 1 : 0;
    at = end;
  }
  EXPECT_EQ(whole + sink_->lost(), written);
}

}  // namespace
}  // namespace sallyport::proxy
