// A response as a program: each step is one byte that says what comes, one that says how long it
// is, and its bytes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/proxy/handlers/grpc_response.h"

namespace {

std::string_view Take(std::string_view* input, size_t length) {
  const std::string_view taken = input->substr(0, length);
  input->remove_prefix(taken.size());
  return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using sallyport::proxy::GrpcResponse;
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  GrpcResponse response;
  while (input.size() >= 2) {
    const char step = input[0];
    const std::string_view value = [&input] {
      const size_t length = static_cast<unsigned char>(input[1]);
      input.remove_prefix(2);
      return Take(&input, length);
    }();
    switch (step) {
      case 's':
        response.OnField(":status", value);
        break;
      case 't':
        response.OnField("content-type", value);
        break;
      case 'g':
        response.OnField("grpc-status", value);
        break;
      case 'm':
        response.OnField("grpc-message", value);
        break;
      case 'h':
        response.OnFieldsEnd();
        break;
      case 'e':
        response.OnEnd();
        break;
      case 'n':
        response.NextMessage();
        break;
      default:
        response.OnData(value);
    }
  }
  while (response.NextMessage().has_value()) {
  }
  // An answer that counts as complete came with everything that gRPC asks for.
  response.OnEnd();
  if (!response.result().has_value()) __builtin_trap();
  return 0;
}
