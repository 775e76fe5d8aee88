#include "agent/proxy/dns/stream_server.h"

#include <array>
#include <chrono>
#include <limits>
#include <string>
#include <utility>

#include "agent/proxy/dns/answer.h"
#include "agent/proxy/dns/message.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kIdleTime{10};
constexpr size_t kLengthBytes = 2;

void Refused(const DnsServerOptions& options, std::string_view name, std::string_view reason) {
  if (options.on_refused) options.on_refused(name, reason);
}

// False: the connection has ended, or was idle for too long.
Task<bool> ReadFully(Stream* stream, std::span<char> buffer) {
  while (!buffer.empty()) {
    const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
    if (!count.ok() || *count == 0) co_return false;
    buffer = buffer.subspan(*count);
  }
  co_return true;
}

// One message; empty: there is none, or it is longer than a query may be.
Task<std::string> ReadMessage(const DnsServerOptions* options, Stream* stream) {
  stream->SetDeadline(std::chrono::steady_clock::now() + kIdleTime);
  std::array<char, kLengthBytes> prefix = {};
  const bool begun = co_await ReadFully(stream, prefix);
  if (!begun) co_return "";
  const size_t length = static_cast<size_t>(static_cast<unsigned char>(prefix[0])) << 8 |
                        static_cast<unsigned char>(prefix[1]);
  if (length > kMaxDnsQueryBytes) {
    Refused(*options, "", "malformed");
    co_return "";
  }
  std::string message(length, '\0');
  const bool complete = co_await ReadFully(stream, message);
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
  const std::shared_ptr<const EffectivePolicy> policy = options->policy();
  const std::variant<DnsReply, AskUpstream> local =
      DnsReplyWithoutUpstream(query, policy.get(), *options->names);
  if (const DnsReply* reply = std::get_if<DnsReply>(&local)) co_return *reply;
  absl::StatusOr<std::string> upstream =
      co_await options->resolver->Query(query.host->text(), static_cast<int>(query.type));
  const std::shared_ptr<const EffectivePolicy> policy_now = options->policy();
  co_return DnsReplyFromUpstream(query, policy_now.get(), *options->open_ranges, *options->names,
                                 std::move(upstream));
}

}  // namespace

Task<void> ServeDnsStream(const DnsServerOptions* options, Stream* stream) {
  bool open = true;
  while (open) {
    const std::string message = co_await ReadMessage(options, stream);
    if (message.empty()) break;
    std::variant<DnsQuery, BadDnsQuery> parsed = ParseDnsQuery(message);
    if (const BadDnsQuery* bad = std::get_if<BadDnsQuery>(&parsed)) {
      Refused(*options, "", "malformed");
      if (!bad->reply.empty()) open = co_await WriteMessage(stream, bad->reply);
      break;
    }
    DnsQuery& query = std::get<DnsQuery>(parsed);
    query.max_reply_bytes = std::numeric_limits<uint16_t>::max();
    const DnsReply reply = co_await Answer(options, query);
    if (!reply.refused.empty()) {
      Refused(*options, query.host.has_value() ? std::string_view(query.host->text()) : "",
              reply.refused);
    }
    if (!reply.would_deny.empty() && options->on_monitored) {
      options->on_monitored(query.host->text(), reply.would_deny);
    }
    open = co_await WriteMessage(stream, reply.message);
  }
  stream->Close(Stream::How::kGraceful);
}

}  // namespace sallyport::proxy
