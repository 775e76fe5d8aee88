#include "agent/proxy/serve_h1.h"

#include <utility>
#include <variant>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http_limits.h"
#include "agent/proxy/open_stream.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/worker.h"

namespace sallyport::proxy {
namespace {

constexpr uint64_t kMaxDrainBytes = 64 * 1024;
constexpr std::chrono::milliseconds kMaxDrainTime{1000};

// One request that has begun to come in. Returns whether the connection may carry another.
Task<bool> ServeNext(const ClientConnection& client, H1ServerConnection* http) {
  H1ServerConnection::HeadResult result = co_await http->ReadHead();
  if (std::get_if<H1ServerConnection::Closed>(&result) != nullptr) co_return false;
  if (auto* bad = std::get_if<BadMessage>(&result)) {
    co_await ServeBadMessage(client, bad->status, std::move(bad->detail));
    co_return false;
  }
  auto& head = std::get<RequestHead>(result);
  if (client.container->worker().overload().shedding() >= Shedding::kKeepAlive)
    head.keep_alive = false;
  co_await ServeRequest(client, std::move(head));
  if (!http->response_begun() || !http->reusable()) co_return false;
  if (http->body_complete()) co_return true;
  co_return co_await http->DrainBody(kMaxDrainBytes, kMaxDrainTime);
}

}  // namespace

// Most connections wait here most of the time: what a request needs is in ServeNext's frame.
Task<void> ServeH1(ClientConnection client, Stream* stream, std::string early) {
  const OpenStream open(client.container, stream);
  const ContainerLimits& limits = client.container->limits();
  H1ServerConnection http(stream, std::move(early), H1LimitsOf(limits), H1TimeoutsOf(limits));
  client.http = &http;
  while (!client.container->closed()) {
    const bool arrived = co_await http.AwaitRequest();
    if (!arrived) break;
    const bool another = co_await ServeNext(client, &http);
    if (!another) break;
  }
  co_await LingeringClose(stream);
}

}  // namespace sallyport::proxy
