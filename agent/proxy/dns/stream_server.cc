#include "agent/proxy/dns/stream_server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "agent/proxy/dns/message.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kIdleTime{10};
constexpr size_t kLengthBytes = 2;

// False: the connection has ended, or was idle for too long.
Task<bool> ReadFully(Stream* stream, std::span<char> buffer) {
  while (!buffer.empty()) {
    const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
    if (!count.ok() || *count == 0) co_return false;
    buffer = buffer.subspan(*count);
  }
  co_return true;
}

// One message; empty: there is none. Of one that is longer than a query may be, as much as shows
// it; the rest is dropped, since an answer may be lost where something is left unread.
Task<std::string> ReadMessage(Stream* stream) {
  stream->SetDeadline(std::chrono::steady_clock::now() + kIdleTime);
  std::array<char, kLengthBytes> prefix = {};
  const bool begun = co_await ReadFully(stream, prefix);
  if (!begun) co_return "";
  const size_t length = static_cast<size_t>(static_cast<unsigned char>(prefix[0])) << 8 |
                        static_cast<unsigned char>(prefix[1]);
  std::string message(std::min(length, kMaxDnsQueryBytes + 1), '\0');
  bool complete = co_await ReadFully(stream, message);
  for (size_t left = length - message.size(); complete && left > 0;) {
    std::string dropped(std::min(left, kMaxDnsQueryBytes), '\0');
    complete = co_await ReadFully(stream, dropped);
    left -= dropped.size();
  }
  if (!complete) co_return "";
  co_return message;
}

Task<bool> WriteMessage(Stream* stream, std::string message) {
  const std::array<char, kLengthBytes> prefix = {static_cast<char>(message.size() >> 8),
                                                 static_cast<char>(message.size())};
  const std::array<std::string_view, 2> pieces = {std::string_view(prefix.data(), prefix.size()),
                                                  message};
  stream->SetDeadline(std::chrono::steady_clock::now() + kIdleTime);
  const absl::Status written = co_await stream->Write(pieces);
  co_return written.ok();
}

Task<DnsReply> Answer(const DnsServerOptions* options, DnsQuery query) {
  const std::variant<DnsReply, AskUpstream> at_once = AnswerAtOnce(*options, query);
  if (const DnsReply* reply = std::get_if<DnsReply>(&at_once)) co_return *reply;
  DnsReply reply = co_await AnswerByAsking(options, std::move(query));
  co_return reply;
}

}  // namespace

Task<void> ServeDnsStream(const DnsServerOptions* options, Stream* stream) {
  bool open = true;
  while (open) {
    const std::string message = co_await ReadMessage(stream);
    if (message.empty()) break;
    std::variant<DnsQuery, BadDnsQuery> parsed = ParseDnsQuery(message);
    if (const BadDnsQuery* bad = std::get_if<BadDnsQuery>(&parsed)) {
      const std::string answer = AnswerMalformed(*options, *bad);
      if (!answer.empty()) open = co_await WriteMessage(stream, answer);
      break;
    }
    DnsQuery& query = std::get<DnsQuery>(parsed);
    query.max_reply_bytes = std::numeric_limits<uint16_t>::max();
    const DnsReply reply = co_await Answer(options, query);
    Report(*options, query, reply);
    open = co_await WriteMessage(stream, reply.message);
  }
  stream->Close(Stream::How::kGraceful);
}

}  // namespace sallyport::proxy
