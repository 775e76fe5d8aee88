#include <cstddef>
#include <cstdint>

#include "agent/proxy/tls/client_hello.h"
#include "common/base/check.h"

using sallyport::proxy::ClientHello;
using sallyport::proxy::ClientHelloNeedsMore;
using sallyport::proxy::ParseClientHello;

// What is true of every input: more bytes never turn a decision into another one.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = ParseClientHello(bytes);
  const auto half = ParseClientHello(bytes.substr(0, size / 2));
  if (std::holds_alternative<ClientHelloNeedsMore>(half)) return 0;
  SALLYPORT_CHECK(half.index() == whole.index());
  if (const auto* hello = std::get_if<ClientHello>(&half)) {
    SALLYPORT_CHECK(hello->server_name == std::get<ClientHello>(whole).server_name);
  }
  return 0;
}
