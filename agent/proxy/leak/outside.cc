#include "agent/proxy/leak/outside.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>
#include <utility>

#include "agent/proxy/tcp_stream.h"
#include "common/base/check.h"
#include "common/net/address.h"

namespace sallyport::proxy {
namespace {

namespace http = boost::beast::http;

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

UniqueFd ListenOn(std::string_view address, uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  SALLYPORT_CHECK(socket.valid());
  sockaddr_storage storage;
  const socklen_t length = IpAddress::Parse(address)->ToSockaddr(port, &storage);
  SALLYPORT_CHECK(bind(socket.get(), reinterpret_cast<sockaddr*>(&storage), length) == 0);
  SALLYPORT_CHECK(listen(socket.get(), SOMAXCONN) == 0);
  return socket;
}

std::string Text(boost::beast::string_view text) { return std::string(text.data(), text.size()); }

using Request = http::request<http::string_body>;

void CheckRequest(bool guarded, const Request& request) {
  SALLYPORT_CHECK(request.count(http::field::host) == 1);
  const std::string host = Text(request[http::field::host]);
  if (guarded) {
    SALLYPORT_CHECK(host == kGuardedAddress);
    SALLYPORT_CHECK(Text(request.target()) == kOpenPath);
    SALLYPORT_CHECK(request.count(http::field::authorization) == 1);
    SALLYPORT_CHECK(Text(request[http::field::authorization]) == kSecret);
    return;
  }
  SALLYPORT_CHECK(host == kPublicAddress);
  for (const auto& field : request) {
    SALLYPORT_CHECK(Text(field.value()).find(kSecret) == std::string::npos);
  }
}

// Reads requests from `received` as far as they are whole. Returns how many.
size_t TakeRequests(bool guarded, std::string* received) {
  size_t count = 0;
  while (!received->empty()) {
    http::request_parser<http::string_body> parser;
    parser.eager(true);
    parser.header_limit(std::numeric_limits<uint32_t>::max());
    parser.body_limit(std::numeric_limits<uint64_t>::max());
    boost::system::error_code error;
    const size_t used = parser.put(boost::asio::buffer(*received), error);
    if (parser.is_header_done()) CheckRequest(guarded, parser.get());
    if (error == http::error::need_more || !parser.is_done()) {
      // What the proxy sends is well-formed, or cut off.
      SALLYPORT_CHECK(!error || error == http::error::need_more);
      break;
    }
    received->erase(0, used);
    ++count;
  }
  return count;
}

v1::HandleResponse Decide(const v1::HandleRequest& asked) {
  v1::HandleResponse response;
  if (asked.start().path() != kOpenPath) {
    response.mutable_respond()->set_status(204);
    return response;
  }
  v1::Forward& forward = *response.mutable_forward();
  forward.set_authority(std::string(kGuardedAddress));
  v1::Header& header = *forward.add_set_headers();
  header.set_name("authorization");
  header.set_value(std::string(kSecret));
  return response;
}

}  // namespace

Outside::Outside() {
  listening_.push_back({Role::kHandler, ListenOn(kHandlerAddress, kHandlerPort)});
  listening_.push_back({Role::kPublic, ListenOn(kPublicAddress, kOutsidePort)});
  listening_.push_back({Role::kGuarded, ListenOn(kGuardedAddress, kOutsidePort)});
  listening_.push_back({Role::kDenied, ListenOn(kDeniedAddress, kOutsidePort)});
  for (const Listening& listening : listening_) {
    Spawn(context_, AcceptOn(&listening));
  }
  thread_ = std::thread([this] { context_.run(); });
}

Outside::~Outside() {
  context_.stop();
  thread_.join();
}

Task<void> Outside::AcceptOn(const Listening* listening) {
  const int duplicate = fcntl(listening->socket.get(), F_DUPFD_CLOEXEC, 0);
  SALLYPORT_CHECK(duplicate >= 0);
  TcpStream waiter(context_, UniqueFd(duplicate));
  while (true) {
    const absl::Status ready = co_await waiter.WaitReadable();
    SALLYPORT_CHECK(ready.ok());
    UniqueFd accepted(
        accept4(listening->socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.valid()) continue;
    SALLYPORT_CHECK(listening->role != Role::kDenied);
    auto stream = std::make_unique<TcpStream>(context_, std::move(accepted));
    if (listening->role == Role::kHandler) {
      Spawn(context_, ServeHandler(FakePeer::Start(context_, std::move(stream), {})));
    } else {
      Spawn(context_, ServeOrigin(listening->role, std::move(stream)));
    }
  }
}

Task<void> Outside::ServeOrigin(Role role, std::unique_ptr<Stream> stream) {
  std::string received;
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
    if (!count.ok() || *count == 0) co_return;
    received.append(buffer.data(), *count);
    for (size_t i = TakeRequests(role == Role::kGuarded, &received); i > 0; --i) {
      const absl::Status written = co_await stream->Write({&kAnswer, 1});
      if (!written.ok()) co_return;
    }
  }
}

Task<void> Outside::ServeHandler(std::shared_ptr<FakePeer> peer) {
  std::map<int32_t, bool> answered;
  while (!peer->connection_ended()) {
    peer->changed().Reset();
    for (auto& [id, seen] : peer->streams()) {
      if (answered[id]) continue;
      const std::vector<v1::HandleRequest> messages = peer->Messages(id);
      if (messages.empty()) continue;
      answered[id] = true;
      peer->SendHeaders(id);
      const v1::HandleResponse decision = Decide(messages[0]);
      peer->SendMessage(id, decision);
      if (decision.has_respond()) {
        v1::HandleResponse end;
        end.mutable_end();
        peer->SendMessage(id, end);
      }
      peer->SendTrailers(id);
    }
    (void)co_await peer->changed().Wait(SteadyTime::max());
  }
}

}  // namespace sallyport::proxy
