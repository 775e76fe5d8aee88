// Whatever the bytes: no crash, and what is accepted is canonical.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/net/host.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sallyport::Authority;
  using sallyport::Host;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  if (const auto host = Host::Parse(text); host.ok()) {
    SALLYPORT_CHECK(!host->text().empty() && host->text().size() <= 253);
    const auto again = Host::Parse(host->ToUriString());
    SALLYPORT_CHECK(again.ok() && *again == *host);
    SALLYPORT_CHECK(again->is_address() == host->is_address());
  }
  if (const auto authority = Authority::Parse(text); authority.ok()) {
    SALLYPORT_CHECK(authority->port != 0);
    const auto again = Authority::Parse(authority->ToString(80));
    SALLYPORT_CHECK(again.ok() && again->host == authority->host);
  }
  if (const auto cidr = sallyport::Cidr::Parse(text); cidr.ok()) {
    SALLYPORT_CHECK(cidr->Contains(cidr->address()));
    SALLYPORT_CHECK(*sallyport::Cidr::Parse(cidr->ToString()) == *cidr);
  }
  return 0;
}
