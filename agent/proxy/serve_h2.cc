#include "agent/proxy/serve_h2.h"

#include <utility>
#include <variant>
#include <vector>

#include "agent/proxy/admission.h"
#include "agent/proxy/connection.h"
#include "agent/proxy/event.h"
#include "agent/proxy/http/h2_server.h"
#include "agent/proxy/http_limits.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/serve_proxy_request.h"
#include "agent/proxy/worker.h"

namespace sallyport::proxy {
namespace {

// From the word that no further streams are wanted to the one that they are refused: more than a
// round trip.
constexpr std::chrono::milliseconds kLastStreamsTime{1000};

// Lives in ServeH2's frame, which ends last.
class ServedConnection final : public ClosableConnection {
 public:
  ServedConnection(boost::asio::io_context& context, ClientConnection client, Stream* stream,
                   std::string_view early)
      : client(std::move(client)),
        http(context, stream, early, H2LimitsOf(this->client.container->limits()),
             H2TimeoutsOf(this->client.container->limits()), this->client.to_proxy,
             &this->client.container->budget()),
        all_done(context),
        over(context),
        context_(context),
        registration_(this->client.container, this) {}

  // A change of policy closes no connection: its next request obeys.
  void OnPolicyChange(const EffectivePolicy*) override {}
  void CloseNow() override { http.CloseNow(); }
  void OnDrain() override;

  const ClientConnection client;
  H2ServerConnection http;
  size_t running = 0;  // Coroutines beside ServeH2's own.
  Event all_done;      // Notified when the last of them has ended.
  Event over;          // Nothing is read any more.

 private:
  boost::asio::io_context& context_;
  const Container::Registration registration_;
};

void EndOne(ServedConnection* connection) {
  if (--connection->running == 0) connection->all_done.Notify();
}

Task<void> Retire(ServedConnection* connection) {
  connection->http.AnnounceRetirement();
  // Either way it is time.
  (void)co_await connection->over.Wait(std::chrono::steady_clock::now() + kLastStreamsTime);
  connection->http.Retire();
  EndOne(connection);
}

void ServedConnection::OnDrain() {
  ++running;
  Spawn(context_, Retire(this));
}

Task<void> Write(ServedConnection* connection) {
  co_await connection->http.WriteAll();
  EndOne(connection);
}

// A CONNECT's tunnel counts as a connection, as one that is accepted does.
Task<void> ServeToProxy(const ClientConnection& client, RequestHead head) {
  std::optional<ConnectionTokens> tokens;
  if (IsConnect(head)) {
    std::variant<ConnectionTokens, NotYet> admission = AdmitConnection(*client.container);
    if (const auto* not_yet = std::get_if<NotYet>(&admission)) {
      if (not_yet->limit.has_value()) client.container->budget().CountExceeded(*not_yet->limit);
      co_await RefuseTunnel(client, std::move(head), OverBudget{not_yet->limit});
      co_return;
    }
    TakeConnection(*client.container);
    tokens = std::move(std::get<ConnectionTokens>(admission));
  }
  const std::optional<Origin> origin = co_await ServeProxyRequest(client, std::move(head));
  if (origin.has_value())
    co_await ServeTunnel(client.container, *origin, &client.http->tunnel(), "");
}

Task<void> ServeStream(ServedConnection* connection, H2ServerConnection::Request request) {
  ClientConnection client = connection->client;
  client.http = request.exchange.get();
  client.http2 = true;
  if (auto* bad = std::get_if<BadMessage>(&request.head)) {
    co_await ServeBadMessage(client, bad->status, std::move(bad->detail));
  } else if (client.to_proxy) {
    co_await ServeToProxy(client, std::move(std::get<RequestHead>(request.head)));
  } else {
    co_await ServeRequest(client, std::move(std::get<RequestHead>(request.head)));
  }
  co_await request.exchange->Linger();
  request.exchange = nullptr;
  connection->http.RequestServed();
  EndOne(connection);
}

}  // namespace

Task<void> ServeH2(ClientConnection client, Stream* stream, std::string early) {
  boost::asio::io_context& context = client.container->worker().io_context();
  ServedConnection connection(context, std::move(client), stream, early);
  if (connection.client.container->closed()) connection.CloseNow();
  if (connection.client.container->draining()) connection.OnDrain();
  ++connection.running;
  Spawn(context, Write(&connection));
  while (true) {
    std::vector<H2ServerConnection::Request> requests = co_await connection.http.ReadRequests();
    if (requests.empty()) break;
    if (connection.client.container->worker().overload().shedding() >= Shedding::kKeepAlive)
      connection.http.Retire();
    for (H2ServerConnection::Request& request : requests) {
      ++connection.running;
      Spawn(context, ServeStream(&connection, std::move(request)));
    }
  }
  connection.over.Notify();
  while (connection.running > 0) {
    connection.all_done.Reset();
    // Each of them waits for nothing without a deadline.
    (void)co_await connection.all_done.Wait(SteadyTime::max());
  }
  co_await LingeringClose(stream);
}

}  // namespace sallyport::proxy
