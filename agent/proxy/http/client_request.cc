#include "agent/proxy/http/client_request.h"

#include "agent/proxy/http/characters.h"

namespace sallyport::proxy {

absl::Status CheckRequest(const RequestHead& head, std::string_view authority_text) {
  const auto all_visible = [](std::string_view text) {
    return !text.empty() && TargetLength(text) == text.size();
  };
  if (!IsToken(head.method)) return absl::InvalidArgumentError("a method that is not a token");
  if (!all_visible(head.target) || (head.target[0] != '/' && head.target != "*")) {
    return absl::InvalidArgumentError("a target that is not a path");
  }
  if (!all_visible(authority_text)) return absl::InvalidArgumentError("a malformed host");
  if (head.framing == BodyFraming::kUntilClose) {
    return absl::InvalidArgumentError("a request whose body has no end");
  }
  return absl::OkStatus();
}

}  // namespace sallyport::proxy
