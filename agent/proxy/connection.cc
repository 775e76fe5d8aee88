#include "agent/proxy/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "agent/proxy/connection_audit.h"
#include "agent/proxy/dns/stream_server.h"
#include "agent/proxy/open_stream.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/relay.h"
#include "agent/proxy/serve_h1.h"
#include "agent/proxy/serve_h2.h"
#include "agent/proxy/sniff.h"
#include "agent/proxy/terminate.h"
#include "agent/proxy/tunnel.h"
#include "agent/proxy/worker.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kAnswerTime{2};
constexpr uint16_t kDnsPort = 53;
constexpr std::string_view kHttp2 = "h2";
// Of one container on one worker: each may have a query under way to the resolvers that all share.
constexpr size_t kMaxDnsStreams = 64;

bool IsHttpPort(const EffectivePolicy* policy, uint16_t port) {
  if (policy == nullptr) return port == 80 || port == 443;
  return std::find(policy->http_ports.begin(), policy->http_ports.end(), port) !=
         policy->http_ports.end();
}

// The name that a ClientHello asks for: its SNI, or the address dialled. FAILED_PRECONDITION: an
// explicit proxy was asked for another one.
absl::StatusOr<Host> NameOf(const ClientHello& hello, const Origin& origin) {
  if (!hello.server_name.has_value())
    return origin.name != nullptr ? *origin.name : Host::FromAddress(origin.address);
  absl::StatusOr<Host> name = Host::Parse(*hello.server_name);
  if (name.ok() && origin.name != nullptr && !(*name == *origin.name)) {
    return absl::FailedPreconditionError(StrCat("the proxy was asked for ", origin.name->text(),
                                                ", the ClientHello for ", name->text()));
  }
  return name;
}

bool IsToBeDecrypted(const Container& container, const Host& name, const Origin& origin) {
  const std::shared_ptr<const EffectivePolicy> policy = container.policy();
  if (policy == nullptr) return false;
  const TlsVerdict verdict = DecideTls(*policy, name, origin.address);
  return std::holds_alternative<Decrypt>(verdict);
}

Task<Sniffed> SniffFirst(ContainerPtr container, Stream* stream, std::string early) {
  const OpenStream open(container, stream);
  co_return co_await Sniff(
      stream, std::chrono::steady_clock::now() + container->limits().Time(Limit::kHeadTimeoutMs),
      std::move(early), &container->budget());
}

Task<void> ServeHttp2(ContainerPtr container, Origin origin, std::shared_ptr<const TlsFacts> tls,
                      Stream* stream, std::string early) {
  co_await ServeH2(ClientConnection{container, origin, std::move(tls), nullptr}, stream,
                   std::move(early));
}

void Reject(Container& container, const Origin& origin, std::string_view scheme,
            std::string_view reason, std::string detail, std::string host = "") {
  AuditRecord record = ConnectionRecord(container, origin, scheme);
  record.host = std::move(host);
  record.decision = "reject";
  record.reason = reason;
  record.detail = std::move(detail);
  container.Audit(record);
}

// For a client that is answered this and nothing else.
Task<void> AnswerAndClose(ContainerPtr container, Stream* stream, std::string answer) {
  const OpenStream open(std::move(container), stream);
  stream->SetDeadline(std::chrono::steady_clock::now() + kAnswerTime);
  const std::string_view bytes = answer;
  const absl::Status written = co_await stream->Write(std::span(&bytes, 1));
  if (written.ok()) co_await LingeringClose(stream);
}

Task<void> ServeDecrypted(ContainerPtr container, Origin origin,
                          std::unique_ptr<TcpStream> transport, std::string early, HeadRoom room,
                          Host name) {
  const std::string& host = name.text();
  absl::StatusOr<Terminated> terminated =
      co_await Terminate(container, origin, std::move(transport), std::move(early), name);
  room.Release();
  if (!terminated.ok()) {
    std::string_view reason = "handshake_failed";
    if (absl::IsUnauthenticated(terminated.status())) reason = "intercept_pin_failure";
    if (absl::IsResourceExhausted(terminated.status())) reason = "over_budget";
    Reject(*container, origin, "https", reason, StrCat(host, ": ", terminated.status().message()),
           host);
    co_return;
  }
  TlsStream* const stream = terminated->stream.get();
  if (terminated->alpn == kHttp2) {
    co_await ServeHttp2(container, origin, std::move(terminated->facts), stream, "");
  } else {
    co_await ServeH1(ClientConnection{container, origin, std::move(terminated->facts), nullptr},
                     stream, "");
  }
  // Clients that compare a pin after the handshake leave like this; so do those that connect ahead
  // of need.
  if (!stream->left_unheard().empty()) {
    Reject(*container, origin, "https", "intercept_pin_suspected",
           StrCat(host, ": the container's client left after the handshake without a request: ",
                  stream->left_unheard()),
           host);
  }
}

Task<void> ServeMisnamed(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> stream,
                         absl::Status wrong) {
  const bool other = absl::IsFailedPrecondition(wrong);
  Reject(*container, origin, "tls", other ? "misdirected" : "bad_request",
         std::string(wrong.message()));
  co_await AnswerAndClose(container, stream.get(), FatalAlert(kAlertUnrecognizedName));
}

// Nothing tells when the origin has taken all of a large ClientHello: its room is kept.
Task<void> ServeUndecrypted(ContainerPtr container, Origin origin,
                            std::unique_ptr<TcpStream> stream, std::string early, HeadRoom,
                            Host name) {
  co_await ServeTlsTunnel(container, origin, std::move(stream), std::move(early), std::move(name));
}

// No coroutine: its frame would be held as long as the connection.
Task<void> ServeTls(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> stream,
                    SniffedTls sniffed) {
  absl::StatusOr<Host> name = NameOf(sniffed.hello, origin);
  if (!name.ok())
    return ServeMisnamed(std::move(container), std::move(origin), std::move(stream), name.status());
  const bool decrypt = IsToBeDecrypted(*container, *name, origin);
  return (decrypt ? ServeDecrypted : ServeUndecrypted)(std::move(container), std::move(origin),
                                                       std::move(stream), std::move(sniffed.early),
                                                       std::move(sniffed.room), *std::move(name));
}

// Bytes that are neither TLS nor HTTP on a port where only these are spoken.
Task<void> ServeNeither(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> stream,
                        SniffedNeither sniffed) {
  const bool is_tls = sniffed.alert.has_value();
  Reject(*container, origin, is_tls ? "tls" : "tcp", "bad_request", std::move(sniffed.detail));
  static constexpr char kBadRequest[] =
      "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nsallyport-reason: bad_request\r\n"
      "content-length: 13\r\nconnection: close\r\n\r\nbad_request\r\n";
  co_await AnswerAndClose(container, stream.get(),
                          is_tls ? FatalAlert(*sniffed.alert) : kBadRequest);
}

// A ClientHello that the container has no memory left for.
Task<void> ServeTooMuch(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> stream) {
  Reject(*container, origin, "tls", "over_budget", std::string(InfoOf(HeadRoom::kLimit).name));
  stream->Close(Stream::How::kReset);
  co_return;
}

// Whatever server the container asks: the agent answers.
Task<void> ServeDns(ContainerPtr container, std::unique_ptr<TcpStream> stream) {
  const OpenStream open(container, stream.get());
  if (container->dns_streams() >= kMaxDnsStreams) {
    AuditRefusedQuery(*container, "", "overloaded");
    stream->Close(Stream::How::kReset);
    co_return;
  }
  const DnsServerOptions options = Container::DnsOptions(container);
  ++container->dns_streams();
  co_await ServeDnsStream(&options, stream.get());
  --container->dns_streams();
}

Task<void> Leave() { co_return; }

// Who serves the connection from here on. A coroutine of its own, and the next one is returned
// rather than awaited, so that what sniffing took is given back: most connections are idle most of
// the time. `stream` is theirs if they take it.
Task<Task<void>> Choose(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream>* stream,
                        std::string early) {
  if (origin.port == kDnsPort) co_return ServeDns(container, std::move(*stream));
  if (!IsHttpPort(container->policy().get(), origin.port))
    co_return ServeTcpTunnel(container, origin, std::move(*stream), std::move(early));
  Sniffed sniffed = co_await SniffFirst(container, stream->get(), std::move(early));
  if (auto* http = std::get_if<SniffedHttp>(&sniffed)) {
    co_return ServeH1(ClientConnection{container, origin, nullptr, nullptr}, stream->get(),
                      std::move(http->early));
  }
  if (auto* http2 = std::get_if<SniffedHttp2>(&sniffed)) {
    co_return ServeHttp2(container, origin, nullptr, stream->get(), std::move(http2->early));
  }
  if (auto* tls = std::get_if<SniffedTls>(&sniffed))
    co_return ServeTls(container, origin, std::move(*stream), std::move(*tls));
  if (auto* neither = std::get_if<SniffedNeither>(&sniffed))
    co_return ServeNeither(container, origin, std::move(*stream), std::move(*neither));
  if (std::holds_alternative<SniffedTooMuch>(sniffed))
    co_return ServeTooMuch(container, origin, std::move(*stream));
  co_return Leave();
}

// From its first bytes to its end.
Task<void> ServeOpen(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> stream,
                     std::string early) {
  Task<void> rest = co_await Choose(container, origin, &stream, std::move(early));
  co_await std::move(rest);
}

ClientConnection ToProxy(ContainerPtr container, Origin own) {
  ClientConnection client{std::move(container), std::move(own), nullptr, nullptr};
  client.to_proxy = true;
  return client;
}

// The proxy's own TLS, whatever name it is asked for: its certificate is for the address that it
// was reached by. What it carries is served as without.
Task<void> ServeProxyTls(ContainerPtr container, Origin own, std::unique_ptr<TcpStream> transport,
                         SniffedTls sniffed) {
  const Host host = Host::FromAddress(own.address);
  absl::StatusOr<Terminated> terminated =
      co_await TerminateForProxy(container, std::move(transport), std::move(sniffed.early), host,
                                 {std::string(kHttp2), "http/1.1"});
  sniffed.room.Release();
  if (!terminated.ok()) {
    Reject(*container, own, "https", "handshake_failed",
           std::string(terminated.status().message()));
    co_return;
  }
  TlsStream* const stream = terminated->stream.get();
  if (terminated->alpn == kHttp2) {
    co_await ServeH2(ToProxy(container, own), stream, "");
    co_return;
  }
  std::optional<OpenedTunnel> tunnel = co_await ServeProxyH1(ToProxy(container, own), stream, "");
  if (tunnel.has_value())
    co_await ServeTunnel(container, tunnel->origin, stream, std::move(tunnel->early));
}

// A client that was told of the proxy. `own`: where it reached it.
Task<void> ServeProxyClient(ContainerPtr container, Origin own, std::unique_ptr<TcpStream> stream) {
  Sniffed sniffed = co_await SniffFirst(container, stream.get(), "");
  if (auto* http = std::get_if<SniffedHttp>(&sniffed)) {
    std::optional<OpenedTunnel> tunnel =
        co_await ServeProxyH1(ToProxy(container, own), stream.get(), std::move(http->early));
    if (tunnel.has_value())
      co_await ServeOpen(container, tunnel->origin, std::move(stream), std::move(tunnel->early));
  } else if (auto* http2 = std::get_if<SniffedHttp2>(&sniffed)) {
    co_await ServeH2(ToProxy(container, own), stream.get(), std::move(http2->early));
  } else if (auto* tls = std::get_if<SniffedTls>(&sniffed)) {
    co_await ServeProxyTls(container, own, std::move(stream), std::move(*tls));
  } else if (auto* neither = std::get_if<SniffedNeither>(&sniffed)) {
    co_await ServeNeither(container, own, std::move(stream), std::move(*neither));
  } else if (std::holds_alternative<SniffedTooMuch>(sniffed)) {
    co_await ServeTooMuch(container, own, std::move(stream));
  }
}

struct Opened {
  std::unique_ptr<TcpStream> stream;  // Null: `rest` has it. Outlives it.
  Task<void> rest;
};

// As Choose, for a connection of which nothing is known.
Task<Opened> Open(ContainerPtr container, UniqueFd socket) {
  const absl::StatusOr<Origin> origin = OriginOf(socket.get());
  if (!origin.ok()) co_return Opened{nullptr, Leave()};
  auto stream = std::make_unique<TcpStream>(container->worker().io_context(), std::move(socket),
                                            TcpStream::Socket::kNonBlocking);
  stream->UseTurns(container->turns());
  if (container->proxy_credential() != nullptr)
    co_return Opened{nullptr, ServeProxyClient(container, *origin, std::move(stream))};
  Task<void> rest = co_await Choose(container, *origin, &stream, "");
  co_return Opened{std::move(stream), std::move(rest)};
}

// To its end. Most connections are idle most of the time: this holds nothing that only their
// beginning needed. The tokens are of the container's gauges.
Task<void> Serve(Task<Opened> open, ContainerPtr, ConnectionTokens) {
  // With what opening it took, which `open` would keep.
  Opened opened = co_await Task<Opened>(std::move(open));
  co_await std::move(opened.rest);
}

}  // namespace

Task<void> ServeTunnel(ContainerPtr container, Origin origin, Stream* tunnel, std::string early) {
  boost::asio::io_context& context = container->worker().io_context();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    container->worker().overload().CountPause();
    tunnel->Close(Stream::How::kReset);
    co_return;
  }
  constexpr auto kMade = TcpStream::Socket::kNonBlocking;
  auto inner = std::make_unique<TcpStream>(context, UniqueFd(ends[0]), kMade);
  TcpStream outer(context, UniqueFd(ends[1]), kMade);
  TcpStream::ShareResets(*inner, outer);
  inner->UseTurns(container->turns());
  Spawn(context, ServeOpen(container, origin, std::move(inner), ""));
  // It goes on by itself until it sees the end.
  (void)co_await RelayBytes(&context, tunnel, &outer, std::move(early),
                            container->limits().Time(Limit::kRelayIdleTimeoutMs));
}

Task<void> ServeConnection(ContainerPtr container, UniqueFd socket, ConnectionTokens tokens) {
  Task<Opened> open = Open(container, std::move(socket));
  return Serve(std::move(open), std::move(container), std::move(tokens));
}

}  // namespace sallyport::proxy
