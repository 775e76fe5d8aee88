// The one version that all programs and packages have.

#ifndef SALLYPORT_COMMON_BASE_VERSION_H_
#define SALLYPORT_COMMON_BASE_VERSION_H_

namespace sallyport {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_VERSION_H_
