// What is outside of the container in the search for leaks: two origins and a handler with a
// secret, which look at whatever reaches them.

#ifndef SALLYPORT_AGENT_PROXY_LEAK_OUTSIDE_H_
#define SALLYPORT_AGENT_PROXY_LEAK_OUTSIDE_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/proxy/handlers/fake_peer.h"
#include "agent/proxy/stream.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// Only the handler knows it, and adds it to requests for the guarded origin.
inline constexpr std::string_view kSecret = "Bearer canary-7f3a9c51";
// The one path for which the handler sends a request on to the guarded origin.
inline constexpr std::string_view kOpenPath = "/open";

inline constexpr std::string_view kHandlerAddress = "127.0.0.2";
inline constexpr std::string_view kPublicAddress = "127.0.0.3";   // Allowed.
inline constexpr std::string_view kGuardedAddress = "127.0.0.4";  // Only the handler may reach it.
inline constexpr std::string_view kDeniedAddress = "127.0.0.5";   // Nobody may.
inline constexpr uint16_t kOutsidePort = 80;
inline constexpr uint16_t kHandlerPort = 7070;

// Serves on a thread of its own. Each request that reaches an origin is read by Boost.Beast, which
// is not what the proxy reads with, and the program ends by a failed check at the first one that
// should not have come.
class Outside {
 public:
  Outside();
  ~Outside();
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

 private:
  enum class Role { kHandler, kPublic, kGuarded, kDenied };
  struct Listening {
    Role role;
    UniqueFd socket;
  };

  Task<void> AcceptOn(const Listening* listening);
  static Task<void> ServeOrigin(Role role, std::unique_ptr<Stream> stream);
  static Task<void> ServeHandler(std::shared_ptr<FakePeer> peer);

  boost::asio::io_context context_{1};
  std::vector<Listening> listening_;
  std::thread thread_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_LEAK_OUTSIDE_H_
