#include "agent/proxy/tls/key_memory.h"

#include <openssl/mem.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>

#include "absl/base/config.h"
#include "common/base/mutex.h"

#ifdef ABSL_HAVE_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#endif

namespace sallyport::proxy {
namespace {

constexpr size_t kChunkBytes = 64 << 10;
// A block is a whole number of units. No part of a key is larger than the largest block.
constexpr size_t kUnit = 64;
constexpr size_t kLargest = 1024;
// More than the parts of one key take.
constexpr size_t kReserve = 8 << 10;

// Whether this thread's allocations are of keys.
constinit thread_local bool of_keys = false;

// Locked pages, in blocks. Those that are free wait in a list for each size; no page goes back.
// Thread-safe.
class LockedPages {
 public:
  // Room for kReserve bytes. False: errno says why not.
  bool Reserve() {
    MutexLock lock(&mutex_);
    if (left_ >= kReserve) return true;
    void* const pages =
        mmap(nullptr, kChunkBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return false;
    // By its number: AddressSanitizer's mlock locks nothing.
    if (madvise(pages, kChunkBytes, MADV_DONTDUMP) != 0 ||
        syscall(SYS_mlock, pages, kChunkBytes) != 0) {
      const int error = errno;
      munmap(pages, kChunkBytes);
      errno = error;
      return false;
    }
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
    // BoringSSL's table of a thread is here if keys were the thread's first use of it.
    __lsan_register_root_region(pages, kChunkBytes);
#endif
    next_ = static_cast<std::byte*>(pages);
    left_ = kChunkBytes;
    return true;
  }

  // Null: too large, or not reserved.
  void* Allocate(size_t size) {
    const size_t units = UnitsOf(size);
    if (size > kLargest) return nullptr;
    MutexLock lock(&mutex_);
    if (Free* const block = free_[units]; block != nullptr) {
      free_[units] = block->next;
      return block;
    }
    if (left_ < units * kUnit) return nullptr;
    void* const block = next_;
    next_ += units * kUnit;
    left_ -= units * kUnit;
    return block;
  }

  void Release(void* block, size_t size) {
    const size_t units = UnitsOf(size);
    MutexLock lock(&mutex_);
    free_[units] = new (block) Free{free_[units]};
  }

 private:
  struct Free {
    Free* next;
  };
  static size_t UnitsOf(size_t size) { return (size + kUnit - 1) / kUnit; }

  Mutex mutex_;
  std::byte* next_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t left_ ABSL_GUARDED_BY(mutex_) = 0;
  std::array<Free*, kLargest / kUnit + 1> free_ ABSL_GUARDED_BY(mutex_) = {};
};

// Never destroyed: BoringSSL frees at exit, too.
LockedPages& Pages() {
  static auto* const pages = new LockedPages;
  return *pages;
}

// Before each allocation of BoringSSL's. It is as large as what BoringSSL itself would put there.
struct Header {
  uint64_t size : 63;  // Without the header.
  uint64_t locked : 1;
};
static_assert(sizeof(Header) == 8);

Header* HeaderOf(void* memory) { return static_cast<Header*>(memory) - 1; }

}  // namespace

absl::Status WithKeyMemory(absl::FunctionRef<void()> work) {
  if (!Pages().Reserve()) {
    return absl::ResourceExhaustedError(
        "no more memory may be locked for private keys: raise the agent's limit "
        "(`LimitMEMLOCK=` of its unit, `ulimit -l`)");
  }
  of_keys = true;
  work();
  of_keys = false;
  return absl::OkStatus();
}

}  // namespace sallyport::proxy

using sallyport::proxy::Header;
using sallyport::proxy::HeaderOf;
using sallyport::proxy::of_keys;
using sallyport::proxy::Pages;

// BoringSSL calls these instead of its own if a program has them (crypto/mem.c). They do not call
// BoringSSL, save to overwrite.
extern "C" {

void* OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void* memory);
size_t OPENSSL_memory_get_size(void* memory);

void* OPENSSL_memory_alloc(size_t size) {
  if (size > std::numeric_limits<size_t>::max() / 2 - sizeof(Header)) return nullptr;
  const size_t whole = size + sizeof(Header);
  void* const block = of_keys ? Pages().Allocate(whole) : std::malloc(whole);
  if (block == nullptr) return nullptr;
  return new (block) Header{size, of_keys} + 1;
}

void OPENSSL_memory_free(void* memory) {
  Header* const header = HeaderOf(memory);
  const bool locked = header->locked != 0;
  const size_t whole = header->size + sizeof(Header);
  OPENSSL_cleanse(header, whole);
  if (locked) {
    Pages().Release(header, whole);
  } else {
    std::free(header);
  }
}

size_t OPENSSL_memory_get_size(void* memory) { return HeaderOf(memory)->size; }

}  // extern "C"
