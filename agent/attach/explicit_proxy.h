// An explicit proxy's listening socket and credential: the way out of a container without a network
// namespace of its own.

#ifndef SALLYPORT_AGENT_ATTACH_EXPLICIT_PROXY_H_
#define SALLYPORT_AGENT_ATTACH_EXPLICIT_PROXY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

inline constexpr char kDefaultProxyAddress[] = "127.0.0.1:0";

// A TCP listener in the calling thread's network namespace. `address`: ADDRESS:PORT or
// [ADDRESS]:PORT, port 0 for one that is free. INVALID_ARGUMENT if it is not that, or every address
// of the host; FAILED_PRECONDITION if it is taken or not the host's.
absl::StatusOr<UniqueFd> OpenProxyListener(std::string_view address);

// ADDRESS:PORT that it was given.
std::string ProxyAddress(const UniqueFd& listener);

// 256 random bits, in hexadecimal.
std::string NewProxyToken();

// What programs take as HTTP_PROXY. REQUIRES: the id is valid (ValidateContainerId).
std::string ProxyUrl(std::string_view container_id, std::string_view token,
                     std::string_view address);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_EXPLICIT_PROXY_H_
