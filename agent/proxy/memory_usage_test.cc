#include "agent/proxy/memory_usage.h"

#include <sys/mman.h>

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
  constexpr size_t kBytes = 64 * kMebibyte;
  void* const block = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  ASSERT_NE(block, MAP_FAILED);
  EXPECT_GE(usage.Read(kTiny).used, before + kBytes * 9 / 10);
  munmap(block, kBytes);
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
