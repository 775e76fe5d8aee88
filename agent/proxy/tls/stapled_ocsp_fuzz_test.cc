#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/proxy/tls/stapled_ocsp.h"
#include "common/base/check.h"

using sallyport::proxy::SaysRevoked;

// What is true of every input: it never reads beyond its end, and nothing is revoked by a number
// that is not in there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view response(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kSerial("\x02\x02\x10\x00", 4);
  if (SaysRevoked(response, kSerial)) {
    SALLYPORT_CHECK(response.find(kSerial) != std::string_view::npos);
  }
  return 0;
}
