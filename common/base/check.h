// Broken invariants end the program; input never does.

#ifndef SALLYPORT_COMMON_BASE_CHECK_H_
#define SALLYPORT_COMMON_BASE_CHECK_H_

namespace sallyport::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace sallyport::internal

// Holds in every build mode.
#define SALLYPORT_CHECK(condition)                                        \
  do {                                                                    \
    if (__builtin_expect(!(condition), 0)) {                              \
      ::sallyport::internal::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                                     \
  } while (false)

#endif  // SALLYPORT_COMMON_BASE_CHECK_H_
