#include "agent/proxy/free_memory.h"

#include <cstddef>

// jemalloc's; null with a sanitizer's allocator.
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_size,
                                             void* new_value, size_t new_size);

// jemalloc reads this at start. No thread of its own (background_thread): it would begin before the
// proxy gives up its privileges, and keep them. A pass through the event loop frees and takes as
// much of a size as connections were ready: what a thread keeps at hand (20 as a rule) is to
// suffice.
extern "C" const char* malloc_conf;
const char* malloc_conf =
    "dirty_decay_ms:1000,muzzy_decay_ms:0,tcache_nslots_large:64,tcache_nslots_small_min:128";

namespace sallyport::proxy {
namespace {

// 4096 stands for all arenas (MALLCTL_ARENAS_ALL).
void TellAllocator(const char* command) {
  if (mallctl != nullptr) mallctl(command, nullptr, nullptr, nullptr, 0);
}

}  // namespace

void ReturnLongFree() { TellAllocator("arena.4096.decay"); }

void ReleaseThreadCache() { TellAllocator("thread.tcache.flush"); }

void ReturnAllFree() { TellAllocator("arena.4096.purge"); }

}  // namespace sallyport::proxy
