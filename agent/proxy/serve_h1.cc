#include "agent/proxy/serve_h1.h"

#include <utility>
#include <variant>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http_limits.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/serve_proxy_request.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/worker.h"

namespace sallyport::proxy {
namespace {

constexpr uint64_t kMaxDrainBytes = 64 * 1024;
constexpr std::chrono::milliseconds kMaxDrainTime{1000};
// A client that is about to send a request when the proxy begins to drain still gets its answer.
constexpr std::chrono::milliseconds kLastRequestTime{2000};

class ServedConnection final : public ClosableConnection {
 public:
  // `http` outlives this.
  ServedConnection(ContainerPtr container, H1ServerConnection* http)
      : http_(http), registration_(std::move(container), this) {}

  // A change of policy closes no connection: its next request obeys.
  void OnPolicyChange(const EffectivePolicy*) override {}
  void CloseNow() override { http_->CloseNow(); }
  void OnDrain() override { http_->LeaveSoon(kLastRequestTime); }

 private:
  H1ServerConnection* const http_;
  const Container::Registration registration_;
};

// Whether the client is told to ask again over another connection.
bool EndsWithThisRequest(const Container& container) {
  return container.draining() || container.worker().overload().shedding() >= Shedding::kKeepAlive;
}

// One request that has begun to come in. Returns whether the connection may carry another. `tunnel`
// is set if it has become one.
Task<bool> ServeNext(const ClientConnection& client, H1ServerConnection* http,
                     std::optional<OpenedTunnel>* tunnel) {
  H1ServerConnection::HeadResult result = co_await http->ReadHead(&client.container->budget());
  if (std::get_if<H1ServerConnection::Closed>(&result) != nullptr) co_return false;
  if (auto* bad = std::get_if<BadMessage>(&result)) {
    if (bad->limit.has_value()) client.container->budget().CountExceeded(*bad->limit);
    co_await ServeBadMessage(client, bad->status, std::move(bad->detail));
    co_return false;
  }
  auto& head = std::get<RequestHead>(result);
  if (EndsWithThisRequest(*client.container)) head.keep_alive = false;
  if (client.to_proxy) {
    const std::optional<Origin> origin = co_await ServeProxyRequest(client, std::move(head));
    if (origin.has_value()) {
      tunnel->emplace(OpenedTunnel{*origin, http->TakeBuffered()});
      co_return false;
    }
  } else {
    co_await ServeRequest(client, std::move(head));
  }
  if (!http->response_begun() || !http->reusable()) co_return false;
  if (http->body_complete()) co_return true;
  co_return co_await http->DrainBody(kMaxDrainBytes, kMaxDrainTime);
}

// Most connections wait here most of the time: what a request needs is in ServeNext's frame.
Task<void> ServeAll(ClientConnection client, Stream* stream, H1ServerConnection http,
                    std::optional<OpenedTunnel>* tunnel) {
  client.http = &http;
  const ServedConnection served(client.container, &http);
  while (!client.container->closed()) {
    const bool arrived = co_await http.AwaitRequest();
    if (!arrived) break;
    const bool another = co_await ServeNext(client, &http, tunnel);
    if (!another) break;
  }
  if (tunnel == nullptr || !tunnel->has_value()) co_await LingeringClose(stream);
}

H1ServerConnection OpenH1(const ClientConnection& client, Stream* stream, std::string early) {
  const ContainerLimits& limits = client.container->limits();
  H1Limits h1_limits = H1LimitsOf(limits);
  h1_limits.connect = client.to_proxy;
  return {stream, std::move(early), h1_limits, H1TimeoutsOf(limits)};
}

}  // namespace

Task<void> ServeH1(ClientConnection client, Stream* stream, std::string early) {
  H1ServerConnection http = OpenH1(client, stream, std::move(early));
  return ServeAll(std::move(client), stream, std::move(http), nullptr);
}

Task<std::optional<OpenedTunnel>> ServeProxyH1(ClientConnection client, Stream* stream,
                                               std::string early) {
  std::optional<OpenedTunnel> tunnel;
  client.to_proxy = true;
  H1ServerConnection http = OpenH1(client, stream, std::move(early));
  co_await ServeAll(std::move(client), stream, std::move(http), &tunnel);
  co_return tunnel;
}

}  // namespace sallyport::proxy
