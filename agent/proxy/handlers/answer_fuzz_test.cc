// A HandleResponse from the wire: what passes keeps the promises of answer.h.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/proxy/handlers/answer.h"

namespace {

void Check(bool holds) {
  if (!holds) __builtin_trap();
}

void CheckHeaders(const sallyport::proxy::Headers& headers) {
  for (const auto& field : headers.fields()) {
    Check(sallyport::proxy::IsLegalHeader(field.name, field.value));
    Check(field.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  for (const char* name : {"connection", "transfer-encoding", "upgrade", "te", "trailer"}) {
    Check(headers.Find(name) == nullptr);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  sallyport::v1::HandleResponse message;
  if (!message.ParseFromArray(bytes, static_cast<int>(size))) return 0;
  const auto respond = sallyport::proxy::ValidateRespond(message.respond());
  if (respond.ok()) {
    Check(respond->status >= 200 && respond->status <= 599);
    CheckHeaders(respond->headers);
  }
  for (const char* scheme : {"http", "https"}) {
    const auto forward = sallyport::proxy::ValidateForward(message.forward(), scheme);
    if (!forward.ok()) continue;
    CheckHeaders(forward->set_headers);
    Check(forward->path.empty() || forward->path[0] == '/');
    Check(forward->scheme.empty() || forward->scheme >= std::string_view(scheme));
    Check(forward->set_headers.Count("host") + forward->set_headers.Count("content-length") == 0);
  }
  const auto pass = sallyport::proxy::ValidatePass(message.pass_response());
  if (pass.ok()) {
    Check(pass->status == 0 || (pass->status >= 200 && pass->status <= 599));
    CheckHeaders(pass->set_headers);
  }
  const auto lease = sallyport::proxy::ValidateLease(message.forward().lease());
  if (lease.ok()) {
    Check(lease->ttl >= std::chrono::milliseconds(1) && lease->ttl <= std::chrono::hours(1));
    Check(lease->path_prefix.empty() || sallyport::proxy::IsPlainPath(lease->path_prefix));
  }
  const auto trailers = sallyport::proxy::ValidateTrailers(message.end());
  if (trailers.ok()) CheckHeaders(*trailers);
  return 0;
}
