#include "agent/proxy/memory_usage.h"

#include <string>

#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

// So small that the process is closer to it than its cgroup is to any limit.
constexpr uint64_t kTiny = 1;

TEST(MemoryUsageTest, SeesWhatTheProcessUses) {
  const MemoryUsage usage = MemoryUsage::Open();
  const uint64_t before = usage.Read(kTiny).used;
  EXPECT_GT(before, 0u);
  const std::string block(64 * kMebibyte, 'x');
  const uint64_t after = usage.Read(kTiny).used;
  EXPECT_GE(after, before + block.size() * 9 / 10);
  EXPECT_EQ(usage.Read(kTiny).limit, kTiny);
}

TEST(MemoryUsageTest, WithoutALimitOfItsOwnTheCgroupsCounts) {
  const MemoryUsage usage = MemoryUsage::Open();
  const MemoryUsage::Reading reading = usage.Read(0);
  // Where there is no cgroup with a limit there is none at all.
  if (reading.limit > 0) EXPECT_LT(reading.used, reading.limit);
}

}  // namespace
}  // namespace sallyport::proxy
