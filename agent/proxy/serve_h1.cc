#include "agent/proxy/serve_h1.h"

#include <utility>
#include <variant>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http_limits.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/worker.h"

namespace sallyport::proxy {
namespace {

constexpr uint64_t kMaxDrainBytes = 64 * 1024;
constexpr std::chrono::milliseconds kMaxDrainTime{1000};

}  // namespace

Task<void> ServeH1(ClientConnection client, Stream* stream, std::string early) {
  const ContainerLimits& limits = client.container->limits();
  H1ServerConnection http(stream, std::move(early), H1LimitsOf(limits), H1TimeoutsOf(limits));
  client.http = &http;
  while (!client.container->closed()) {
    H1ServerConnection::HeadResult result = co_await http.ReadHead();
    if (std::get_if<H1ServerConnection::Closed>(&result) != nullptr) break;
    if (auto* bad = std::get_if<BadMessage>(&result)) {
      co_await ServeBadMessage(client, bad->status, std::move(bad->detail));
      break;
    }
    auto& head = std::get<RequestHead>(result);
    if (client.container->worker().overload().shedding() >= Shedding::kKeepAlive)
      head.keep_alive = false;
    co_await ServeRequest(client, std::move(head));
    if (!http.response_begun() || !http.reusable()) break;
    if (http.body_complete()) continue;
    const bool drained = co_await http.DrainBody(kMaxDrainBytes, kMaxDrainTime);
    if (!drained) break;
  }
  co_await LingeringClose(stream);
}

}  // namespace sallyport::proxy
