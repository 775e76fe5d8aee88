// For code that stands in front of a shared library's own function, to tell ThreadSanitizer what
// the library cannot. The program's definition of a function wins over the libraries', for the
// libraries too.

#ifndef SALLYPORT_TOOLS_SANITIZERS_INTERPOSE_H_
#define SALLYPORT_TOOLS_SANITIZERS_INTERPOSE_H_

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <algorithm>
#include <cstddef>

namespace sallyport::sanitizers {

template <size_t kSize>
struct Symbol {
  // Implicit, so that a string literal is a template argument.
  constexpr Symbol(const char (&text)[kSize]) { std::copy_n(text, kSize, name); }
  char name[kSize];
};

// Calls the library's function of that name. A member function takes its object first.
template <Symbol kSymbol, typename Result = void, typename... Args>
Result Real(Args... args) {
  static const auto function =
      reinterpret_cast<Result (*)(Args...)>(dlsym(RTLD_NEXT, kSymbol.name));
  return function(args...);
}

// What a thread did before Release(x) happened before what another does after Acquire(x).
inline void Acquire(const void* object) { __tsan_acquire(const_cast<void*>(object)); }
inline void Release(const void* object) { __tsan_release(const_cast<void*>(object)); }

}  // namespace sallyport::sanitizers

#endif  // SALLYPORT_TOOLS_SANITIZERS_INTERPOSE_H_
