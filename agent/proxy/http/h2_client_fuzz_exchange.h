// What the fuzz target of an HTTP/2 client does with each of its requests.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_FUZZ_EXCHANGE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_FUZZ_EXCHANGE_H_

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/proxy/event.h"
#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/http/http_exchange.h"
#include "agent/proxy/http/message.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// The flags of an act's frame; its stream is an exchange's, for those that are about one.
enum class Act : uint8_t {
  kGet,
  kHead,
  kPut,
  kAskingPut,  // Sends its body if 100 comes before the answer.
  kWebSocket,
  kLateGet,  // Its answer is read from kRead on.
  kRead,
  kGiveUp,
  kRetire,
  kClose,
  kLetGo,
};
inline constexpr uint8_t kActs = 11;

// Nothing waits so long.
inline constexpr std::chrono::hours kLong{1};

// Those of its connection.
H2Limits SmallLimits();

struct FuzzExchange {
  FuzzExchange(boost::asio::io_context& context, Act act) : act(act), may_read(context) {
    request.method = act == Act::kHead ? "HEAD" : "GET";
    request.target = "/t";
    request.websocket = act == Act::kWebSocket;
    if (act != Act::kPut && act != Act::kAskingPut) return;
    request.method = "PUT";
    request.framing = act == Act::kPut ? BodyFraming::kLength : BodyFraming::kChunked;
    request.content_length = 2 * kPiece.size();
    request.expect_continue = act == Act::kAskingPut;
  }

  static constexpr std::string_view kPiece = "something that is longer than some windows";

  const Act act;
  RequestHead request;
  std::unique_ptr<ClientExchange> http;
  uint32_t stream = 0;
  Event may_read;
  int running = 0;             // Coroutines.
  bool given_up = false;       // Before the answer was whole.
  bool must_not_wait = false;  // What is awaited is there already.
  std::string given;           // Of the request's body, to be sent.
  bool given_all = false;
  std::string understood;  // Of the answer, as text.
  std::string body;
  bool whole = false;  // So is the answer.
};

// Coroutines of an exchange, each of which `running` counts. They check what they are given.
Task<void> SendBody(FuzzExchange* exchange);
Task<void> ReadAnswer(boost::asio::io_context* context, FuzzExchange* exchange);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_CLIENT_FUZZ_EXCHANGE_H_
