#include "agent/proxy/dns/server.h"

#include <sys/socket.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <cerrno>
#include <utility>
#include <vector>

#include "agent/proxy/dns/message.h"
#include "agent/proxy/event.h"

namespace sallyport::proxy {
namespace {

// Datagrams taken at a time, after which connections of the same worker get their turn.
constexpr int kTurn = 64;

struct Client {
  sockaddr_storage address = {};
  socklen_t length = sizeof(sockaddr_storage);
};

// What the queries under way share with the server.
struct State {
  State(boost::asio::io_context& io_context, DnsServerOptions given)
      : context(io_context),
        options(std::move(given)),
        descriptor(io_context.get_executor()),
        idle(io_context) {}

  boost::asio::io_context& context;
  const DnsServerOptions options;
  boost::asio::posix::basic_stream_descriptor<Executor> descriptor;
  bool stopped = false;
  bool draining = false;
  size_t in_flight = 0;
  Event idle;  // Notified when the last query under way has ended.
};
using StatePtr = std::shared_ptr<State>;

// Replies come from the socket that was asked; connection tracking puts the address in place that
// the container asked. One that cannot be sent now is lost, as datagrams are.
void Send(State& state, const Client& client, const std::string& message) {
  if (state.stopped || message.empty()) return;
  ::sendto(state.descriptor.native_handle(), message.data(), message.size(),
           MSG_DONTWAIT | MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&client.address),
           client.length);
}

void Finish(State& state, const Client& client, const DnsQuery& query, const DnsReply& reply) {
  Report(state.options, query, reply);
  Send(state, client, reply.message);
}

Task<void> AnswerLater(StatePtr state, Client client, DnsQuery query) {
  const DnsReply reply = co_await AnswerByAsking(&state->options, query);
  if (!state->stopped) Finish(*state, client, query, reply);
  if (--state->in_flight == 0) state->idle.Notify();
}

void Answer(const StatePtr& state, const Client& client, std::string_view message) {
  std::variant<DnsQuery, BadDnsQuery> parsed = ParseDnsQuery(message);
  if (const BadDnsQuery* bad = std::get_if<BadDnsQuery>(&parsed)) {
    Send(*state, client, AnswerMalformed(state->options, *bad));
    return;
  }
  DnsQuery& query = std::get<DnsQuery>(parsed);
  const std::variant<DnsReply, AskUpstream> at_once = AnswerAtOnce(state->options, query);
  if (const DnsReply* reply = std::get_if<DnsReply>(&at_once)) {
    Finish(*state, client, query, *reply);
    return;
  }
  if (state->in_flight >= state->options.max_in_flight) {
    Finish(*state, client, query, {BuildDnsReply(query, DnsRcode::kServFail), "overloaded"});
    return;
  }
  ++state->in_flight;
  Spawn(state->context, AnswerLater(state, client, std::move(query)));
}

// Answers what waits, at most a turn of it.
void ReceiveWaiting(const StatePtr& state, std::vector<char>& buffer) {
  for (int i = 0; i < kTurn; ++i) {
    Client client;
    const ssize_t received =
        ::recvfrom(state->descriptor.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                   reinterpret_cast<sockaddr*>(&client.address), &client.length);
    if (received < 0) {
      // Errors of earlier datagrams (ICMP) are reported here too, each once.
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      continue;
    }
    Answer(state, client, std::string_view(buffer.data(), received));
  }
}

Task<void> ServeUntilStopped(StatePtr state) {
  // A byte more than is legal, so that a query that is cut off is seen as too long.
  std::vector<char> buffer(kMaxDnsQueryBytes + 1);
  while (!state->stopped && !state->draining) {
    const boost::system::error_code error = co_await state->descriptor.async_wait(
        boost::asio::posix::descriptor_base::wait_read, kUseTask);
    if (error || state->stopped || state->draining) break;
    ReceiveWaiting(state, buffer);
  }
  while (state->in_flight > 0) {
    // Every query has a deadline of its own, in the resolver.
    state->idle.Reset();
    const absl::Status ignored = co_await state->idle.Wait(SteadyTime::max());
    static_cast<void>(ignored);
  }
}

class UdpDnsServer final : public DnsServer {
 public:
  UdpDnsServer(boost::asio::io_context& context, UniqueFd socket, DnsServerOptions options)
      : state_(std::make_shared<State>(context, std::move(options))) {
    boost::system::error_code error;
    state_->descriptor.assign(socket.get(), error);
    if (error) {
      state_->stopped = true;
      return;
    }
    socket.Release();
  }
  ~UdpDnsServer() override { Stop(); }

  Task<void> Serve() override { return ServeUntilStopped(state_); }

  void Drain() override {
    state_->draining = true;
    boost::system::error_code ignored;
    state_->descriptor.cancel(ignored);
  }

  void Stop() override {
    state_->stopped = true;
    boost::system::error_code ignored;
    state_->descriptor.close(ignored);
  }

 private:
  const StatePtr state_;
};

}  // namespace

std::unique_ptr<DnsServer> DnsServer::Create(boost::asio::io_context& context, UniqueFd socket,
                                             DnsServerOptions options) {
  return std::make_unique<UdpDnsServer>(context, std::move(socket), std::move(options));
}

}  // namespace sallyport::proxy
