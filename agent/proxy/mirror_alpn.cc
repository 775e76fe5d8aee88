#include "agent/proxy/mirror_alpn.h"

#include <utility>

#include "agent/proxy/connect_origin.h"

namespace sallyport::proxy {
namespace {

// A client waits for our ServerHello meanwhile.
constexpr std::chrono::seconds kMaxWait{3};

// Of requests whose host is the TLS name, as it has to be.
bool GoesToOrigin(const Container& container, const Origin& origin, const Host& name) {
  const std::shared_ptr<const EffectivePolicy> policy = container.policy();
  if (policy == nullptr) return false;
  return std::holds_alternative<Egress>(
      DecideRequest(*policy, RequestScheme::kHttps, name, origin.address));
}

}  // namespace

Task<std::vector<std::string>> MirrorAlpn(ContainerPtr container, Origin origin, Host name) {
  bool http2 = true;
  if (GoesToOrigin(*container, origin, name)) {
    const OriginKey key{true, OriginHttp::kByAlpn, std::move(name), origin.port};
    Http2Origins& origins = container->origins().http2;
    if (!origins.SpeaksHttp2(key).has_value())
      co_await LearnOriginHttp(container, key, std::chrono::steady_clock::now() + kMaxWait);
    http2 = origins.SpeaksHttp2(key).value_or(true);
  }
  std::vector<std::string> protocols;
  if (http2) protocols.emplace_back("h2");
  protocols.emplace_back("http/1.1");
  // All that a client of HTTP/1.0 offers; the same code serves it.
  protocols.emplace_back("http/1.0");
  co_return protocols;
}

}  // namespace sallyport::proxy
