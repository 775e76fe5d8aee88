#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "agent/proxy/tls/client_hello.h"
#include "common/base/check.h"

using sallyport::proxy::ClientHello;
using sallyport::proxy::ClientHelloNeedsMore;
using sallyport::proxy::ClientHelloReader;
using sallyport::proxy::ParseClientHello;

// What is true of every input: more bytes never turn a decision into another one, and neither does
// how many of them come at a time.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = ParseClientHello(bytes);
  ClientHelloReader reader;
  ClientHelloReader::Result piecemeal = ClientHelloNeedsMore();
  for (size_t end = 1; end <= size && std::holds_alternative<ClientHelloNeedsMore>(piecemeal);) {
    piecemeal = reader.Read(bytes.substr(0, end));
    end = end == size ? end + 1 : std::min(size, end + 1 + end / 16);
  }
  SALLYPORT_CHECK(size == 0 || piecemeal.index() == whole.index());
  const auto half = ParseClientHello(bytes.substr(0, size / 2));
  if (std::holds_alternative<ClientHelloNeedsMore>(half)) return 0;
  SALLYPORT_CHECK(half.index() == whole.index());
  if (const auto* hello = std::get_if<ClientHello>(&half)) {
    SALLYPORT_CHECK(hello->server_name == std::get<ClientHello>(whole).server_name);
  }
  return 0;
}
