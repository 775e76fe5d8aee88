// For tests under ThreadSanitizer. gRPC counts what is still under way in a call by an atomic that
// is read and written in its headers, which are compiled with us, and in libgrpc++, which is not:
// when the library takes the last reference (it does so in a call that was cancelled),
// ThreadSanitizer does not see that what the others did came before, and reports gRPC's own
// destructors. This stands in front of the function that runs after the last reference, and says
// so. Elsewhere it is nothing.

#if __has_feature(thread_sanitizer)

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstddef>

namespace {

// grpc::internal::ServerCallbackCall begins with its vtable pointer and two counters
// (grpcpp/support/server_callback.h, 1.51).
constexpr size_t kCounterOffsets[] = {8, 12};

}  // namespace

extern "C" void SallyportScheduleOnDone(char* call, bool inline_ondone) __asm__(
    "_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb");

extern "C" __attribute__((visibility("default"))) void SallyportScheduleOnDone(char* call,
                                                                               bool inline_ondone) {
  static const auto function = reinterpret_cast<void (*)(char*, bool)>(
      dlsym(RTLD_NEXT, "_ZN4grpc8internal18ServerCallbackCall14ScheduleOnDoneEb"));
  for (const size_t offset : kCounterOffsets) __tsan_acquire(call + offset);
  function(call, inline_ondone);
}

#endif
