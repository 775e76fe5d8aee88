// A lease in a header: what is read is what its text says.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/proxy/handlers/lease_header.h"
#include "agent/proxy/handlers/lease_terms.h"

namespace {

void Check(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string value(reinterpret_cast<const char*>(bytes), size);
  const auto lease = sallyport::proxy::ParseLeaseHeader(value);
  if (!lease.ok()) {
    Check(lease.status().message().size() < 256);
    return 0;
  }
  Check(value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos);
  for (const std::string& method : lease->methods()) Check(value.find(method) != value.npos);
  const auto terms = sallyport::proxy::ValidateLease(*lease);
  if (!terms.ok()) return 0;
  Check(terms->ttl >= std::chrono::milliseconds(1) && terms->ttl <= std::chrono::hours(1));
  Check(terms->path_prefix.empty() || sallyport::proxy::IsPlainPath(terms->path_prefix));
  return 0;
}
