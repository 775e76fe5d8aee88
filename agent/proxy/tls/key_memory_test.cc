#include "agent/proxy/tls/key_memory.h"

#include <openssl/ec_key.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

void* Allocate(size_t size) {
  void* memory = nullptr;
  const absl::Status status = WithKeyMemory([&] { memory = OPENSSL_malloc(size); });
  EXPECT_TRUE(status.ok()) << status;
  return memory;
}

// The flags of the mapping that the address is in, as proc(5) says them for VmFlags in smaps.
std::vector<std::string> FlagsOf(const void* address) {
  std::ifstream file("/proc/self/smaps");
  bool in_it = false;
  for (std::string line; std::getline(file, line);) {
    uintptr_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto place = reinterpret_cast<uintptr_t>(address);
      in_it = place >= begin && place < end;
    } else if (in_it && line.starts_with("VmFlags:")) {
      std::istringstream words(line.substr(8));
      return {std::istream_iterator<std::string>(words), {}};
    }
  }
  return {};
}

bool Has(const std::vector<std::string>& flags, const char* flag) {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

TEST(KeyMemoryTest, ItIsLockedAndInNoDump) {
  void* const memory = Allocate(100);
  const std::vector<std::string> flags = FlagsOf(memory);
  EXPECT_TRUE(Has(flags, "lo"));
  EXPECT_TRUE(Has(flags, "dd"));
  OPENSSL_free(memory);
}

TEST(KeyMemoryTest, OtherMemoryIsNot) {
  OPENSSL_free(Allocate(100));
  void* const memory = OPENSSL_malloc(100);
  EXPECT_FALSE(Has(FlagsOf(memory), "lo"));
  OPENSSL_free(memory);
  std::thread([] {
    void* other = nullptr;
    ASSERT_TRUE(
        WithKeyMemory([&] { std::thread([&] { other = OPENSSL_malloc(100); }).join(); }).ok());
    EXPECT_FALSE(Has(FlagsOf(other), "lo"));
    OPENSSL_free(other);
  }).join();
}

TEST(KeyMemoryTest, WhatIsFreedIsOverwrittenAndUsedAgain) {
  auto* const first = static_cast<char*>(Allocate(200));
  std::memset(first, 'k', 200);
  OPENSSL_free(first);
  // Past what the list of free blocks writes there.
  EXPECT_EQ(std::count(first + 8, first + 200, '\0'), 192);
  EXPECT_EQ(Allocate(195), first);
  OPENSSL_free(first);
}

TEST(KeyMemoryTest, GrowingKeepsWhatIsThere) {
  auto* memory = static_cast<char*>(OPENSSL_malloc(5));
  std::memcpy(memory, "abcd", 5);
  memory = static_cast<char*>(OPENSSL_realloc(memory, 100'000));
  EXPECT_STREQ(memory, "abcd");
  OPENSSL_free(memory);
}

TEST(KeyMemoryTest, AllOfAKeyFits) {
  bssl::UniquePtr<EC_KEY> key;
  ASSERT_TRUE(WithKeyMemory([&] {
                key.reset(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
                ASSERT_NE(key, nullptr);
                EXPECT_TRUE(EC_KEY_generate_key(key.get()));
              }).ok());
  EXPECT_TRUE(Has(FlagsOf(EC_KEY_get0_private_key(key.get())), "lo"));
}

// In a process of its own, whose limit it lowers: root's is not looked at (CAP_IPC_LOCK).
[[noreturn]] void RunOut() {
  const rlimit none = {0, 0};
  if (setresuid(65534, 65534, 65534) != 0 || setrlimit(RLIMIT_MEMLOCK, &none) != 0) _exit(1);
  absl::Status status;
  int failed = 0;
  while (status.ok()) {
    status = WithKeyMemory([&failed] {
      for (int i = 0; i < 4; ++i) failed += OPENSSL_malloc(1000) == nullptr ? 1 : 0;
    });
  }
  _exit(absl::IsResourceExhausted(status) && failed == 0 ? 42 : 2);
}

TEST(KeyMemoryTest, WithoutRoomNothingIsAllocatedElsewhere) {
  EXPECT_EXIT(RunOut(), testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace sallyport::proxy
