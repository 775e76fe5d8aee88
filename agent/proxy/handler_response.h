// A handler's own response, on its way to the container.

#ifndef SALLYPORT_AGENT_PROXY_HANDLER_RESPONSE_H_
#define SALLYPORT_AGENT_PROXY_HANDLER_RESPONSE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/proxy/exchange.h"
#include "agent/proxy/handler_failure.h"
#include "agent/proxy/handlers/answer.h"
#include "agent/proxy/http/body.h"

namespace sallyport::proxy {

// Whether a response to this request has no body, whatever its headers say.
bool IsBodiless(const Exchange& exchange, int status);

struct WholeBody {
  std::string bytes;
  Headers trailers;
};
// INVALID_ARGUMENT, with `too_long`: more than `limit` bytes. Else the reader's errors.
Task<absl::StatusOr<WholeBody>> ReadWhole(BodyReader& body, size_t limit,
                                          std::string_view too_long);

// Whether the container has all of a response that declares its length.
bool HasDeclaredBody(const Exchange& exchange, const Respond& answer);

// The body of a response that is to be leased, which is held back until all of it is here. Errors:
// as of ReadWhole; INVALID_ARGUMENT, too, for one that is too long, of a length other than
// declared, or there where none may be.
Task<absl::StatusOr<WholeBody>> ReadLeased(const Exchange& exchange, const Respond& answer,
                                           BodyReader& body);

// Reads the body that may not be: its end, and nothing before.
Task<absl::Status> ReadNoBody(BodyReader& body);

// Streams the response. What went wrong, or nullopt; then the container has all of it, or has hung
// up.
Task<std::optional<HandlerFailure>> StreamResponse(const Exchange& exchange, const Respond& answer,
                                                   BodyReader& body);

// Writes a response that is there in whole.
Task<void> WriteWhole(const Exchange& exchange, const Respond& answer, const WholeBody& body);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLER_RESPONSE_H_
