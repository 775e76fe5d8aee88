#include "common/metrics/status_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::chrono::seconds kPatience{5};
constexpr size_t kMaxConnections = 64;
constexpr uint32_t kMaxHeadBytes = 8 << 10;

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

absl::StatusOr<tcp::endpoint> ParseEndpoint(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == address.npos) return absl::InvalidArgumentError("");
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view digits = address.substr(colon + 1);
  uint16_t port = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  boost::system::error_code bad;
  const asio::ip::address parsed = asio::ip::make_address(std::string(host), bad);
  const bool ipv6_without_brackets = parsed.is_v6() && address[0] != '[';
  if (bad || ipv6_without_brackets || !parsed.is_loopback() || read.ec != std::errc() ||
      read.ptr != digits.data() + digits.size()) {
    return absl::InvalidArgumentError("");
  }
  return tcp::endpoint(parsed, port);
}

std::string ToString(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? StrCat("[", host, "]:", endpoint.port())
                                    : StrCat(host, ":", endpoint.port());
}

Response Answer(http::status status, std::string body) {
  Response response(status, 11);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.body() = std::move(body);
  return response;
}

Response AnswerTo(const Request& request, const StatusServer::Sources& sources) {
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    Response response = Answer(http::status::method_not_allowed, "GET and HEAD only\n");
    response.set(http::field::allow, "GET, HEAD");
    return response;
  }
  const std::string_view target(request.target().data(), request.target().size());
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/metrics") {
    Response response = Answer(http::status::ok, sources.metrics());
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    return response;
  }
  if (path == "/healthz") return Answer(http::status::ok, "ok\n");
  if (path == "/readyz") {
    const std::string why_not = sources.not_ready();
    if (why_not.empty()) return Answer(http::status::ok, "ready\n");
    return Answer(http::status::service_unavailable, why_not + "\n");
  }
  return Answer(http::status::not_found, "there are /metrics, /healthz and /readyz\n");
}

// A program that says what it is asked for on the same connection again and again is welcome.
asio::awaitable<void> Serve(tcp::socket socket, const StatusServer::Sources* sources) {
  beast::tcp_stream stream(std::move(socket));
  beast::flat_buffer buffer;
  boost::system::error_code error;
  const auto token = [&error] { return asio::redirect_error(asio::use_awaitable, error); };
  bool keep_alive = true;
  while (keep_alive) {
    http::request_parser<http::empty_body> parser;
    parser.header_limit(kMaxHeadBytes);
    stream.expires_after(kPatience);
    co_await http::async_read(stream, buffer, parser, token());
    if (error) co_return;
    const Request& request = parser.get();
    keep_alive = request.keep_alive();
    Response response = AnswerTo(request, *sources);
    response.keep_alive(keep_alive);
    response.prepare_payload();
    if (request.method() == http::verb::head) response.body().clear();
    stream.expires_after(kPatience);
    http::response_serializer<http::string_body> serializer(response);
    if (request.method() == http::verb::head)
      co_await http::async_write_header(stream, serializer, token());
    else
      co_await http::async_write(stream, serializer, token());
    if (error) co_return;
  }
  stream.socket().shutdown(tcp::socket::shutdown_send, error);
}

}  // namespace

struct StatusServer::Loop {
  explicit Loop(Sources given) : sources(std::move(given)) {}

  absl::Status Listen(const tcp::endpoint& endpoint) {
    boost::system::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return absl::OkStatus();
    return absl::FailedPreconditionError(
        StrCat("cannot serve metrics on ", ToString(endpoint), ": ", error.message()));
  }

  asio::awaitable<void> Pause() {
    asio::steady_timer timer(context, std::chrono::milliseconds(100));
    co_await timer.async_wait(asio::use_awaitable);
  }

  asio::awaitable<void> Accept() {
    while (true) {
      while (connections >= kMaxConnections) co_await Pause();
      boost::system::error_code error;
      tcp::socket socket =
          co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error) {  // For want of descriptors, for example.
        co_await Pause();
        continue;
      }
      ++connections;
      asio::co_spawn(context, Serve(std::move(socket), &sources),
                     [this](const std::exception_ptr&) { --connections; });
    }
  }

  const Sources sources;
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  size_t connections = 0;
  std::thread thread;
};

absl::Status CheckStatusAddress(std::string_view flag, const std::string& address) {
  if (ParseEndpoint(address).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat(flag, " ", Quote(address),
             ": it is served without TLS, so write 127.0.0.1:PORT or [::1]:PORT; "
             "others reach it by a proxy with TLS"));
}

absl::StatusOr<std::unique_ptr<StatusServer>> StatusServer::Start(const std::string& address,
                                                                  Sources sources) {
  RETURN_IF_ERROR(CheckStatusAddress("metrics address", address));
  auto loop = std::make_unique<Loop>(std::move(sources));
  RETURN_IF_ERROR(loop->Listen(*ParseEndpoint(address)));
  std::string chosen = ToString(loop->acceptor.local_endpoint());
  asio::co_spawn(loop->context, loop->Accept(), asio::detached);
  loop->thread = std::thread([context = &loop->context] { context->run(); });
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(loop), std::move(chosen)));
}

StatusServer::StatusServer(std::unique_ptr<Loop> loop, std::string address)
    : loop_(std::move(loop)), address_(std::move(address)) {}

StatusServer::~StatusServer() {
  loop_->context.stop();
  loop_->thread.join();
}

}  // namespace sallyport
