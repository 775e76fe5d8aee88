#include "agent/proxy/dns/upstream_exchange.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {
namespace {

constexpr uint16_t kClassIn = 1;
constexpr uint16_t kRecursionDesired = 0x0100;
constexpr uint16_t kResponse = 0x8000;
constexpr uint16_t kTruncated = 0x0200;
constexpr uint16_t kRcode = 0x000f;
// Of datagrams that answer something else; more are somebody's attempt to be believed.
constexpr int kMaxMismatches = 16;

struct Question {
  uint16_t id = 0;
  std::string wire_name;  // As it is spelled in this question.
  std::string message;
};

// Letters of the name are upper or lower case by chance. The lengths of labels are below those of
// letters.
Question Spell(const DnsExchange& exchange) {
  std::array<uint8_t, 2 + kMaxDnsNameBytes / 8 + 1> random = {};
  // Cannot fail for so few bytes once the system has started (getrandom(2)).
  (void)!getrandom(random.data(), random.size(), 0);
  Question question;
  question.id = static_cast<uint16_t>(random[0] << 8 | random[1]);
  question.wire_name = EncodeDnsName(exchange.name.text());
  for (size_t i = 0; i < question.wire_name.size(); ++i) {
    char& byte = question.wire_name[i];
    if ((random[2 + i / 8] >> (i % 8) & 1) != 0) byte = absl::ascii_toupper(byte);
  }
  const bool edns = exchange.edns == DnsExchange::Edns::kOffered;
  std::string& message = question.message;
  for (const uint16_t number :
       {question.id, kRecursionDesired, uint16_t{1}, uint16_t{0}, uint16_t{0}, uint16_t{edns}}) {
    AppendU16(number, &message);
  }
  message += question.wire_name;
  AppendU16(static_cast<uint16_t>(exchange.type), &message);
  AppendU16(kClassIn, &message);
  if (edns) AppendOurOpt(0, 0, &message);
  return question;
}

absl::Status NotReached(const DnsServerAddress& server, int error) {
  return absl::UnavailableError(
      StrCat("resolver ", server.address.ToUriString(), ": ", std::strerror(error)));
}

absl::Status RefusedBy(const DnsServerAddress& server, uint16_t rcode) {
  const std::string message =
      StrCat("resolver ", server.address.ToUriString(), " answers with code ", rcode);
  const bool not_understood = rcode == static_cast<uint16_t>(DnsRcode::kFormErr) ||
                              rcode == static_cast<uint16_t>(DnsRcode::kNotImp);
  return not_understood ? absl::InvalidArgumentError(message)
                        : absl::FailedPreconditionError(message);
}

// A wait's end that was no success.
absl::Status Ended(const absl::Status& wait, const DnsServerAddress& server) {
  if (absl::IsDeadlineExceeded(wait)) {
    return absl::DeadlineExceededError(
        StrCat("resolver ", server.address.ToUriString(), " does not answer"));
  }
  if (absl::IsCancelled(wait)) return absl::UnavailableError("the resolver is stopped");
  return wait;
}

absl::StatusOr<UniqueFd> Connect(const DnsServerAddress& server, int type) {
  UniqueFd socket(::socket(server.address.is_v4() ? AF_INET : AF_INET6,
                           type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return NotReached(server, errno);
  sockaddr_storage storage;
  const socklen_t length = server.address.ToSockaddr(server.port, &storage);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 &&
      errno != EINPROGRESS) {
    return NotReached(server, errno);
  }
  return socket;
}

// What a message means for the question.
enum class Match { kOther, kOtherSpelling, kRefusal, kTruncated, kAnswer };
enum class Spelling { kCounts, kIgnored };
Match MatchAnswer(const Question& question, DnsType type, Spelling spelling,
                  std::string_view message) {
  if (message.size() < kDnsHeaderBytes || ReadU16(message, 0) != question.id) return Match::kOther;
  const uint16_t flags = ReadU16(message, 2);
  if ((flags & kResponse) == 0) return Match::kOther;
  const uint16_t rcode = flags & kRcode;
  const bool refuses = rcode != static_cast<uint16_t>(DnsRcode::kNoError) &&
                       rcode != static_cast<uint16_t>(DnsRcode::kNxDomain);
  // Who does not understand a question may leave it out.
  if (ReadU16(message, 4) == 0 && refuses) return Match::kRefusal;
  const size_t name_bytes = question.wire_name.size();
  if (message.size() < kDnsHeaderBytes + name_bytes + 4) return Match::kOther;
  const std::string_view name = message.substr(kDnsHeaderBytes, name_bytes);
  if (!SameDnsName(name, question.wire_name) ||
      ReadU16(message, kDnsHeaderBytes + name_bytes) != static_cast<uint16_t>(type)) {
    return Match::kOther;
  }
  if (spelling == Spelling::kCounts && name != question.wire_name) return Match::kOtherSpelling;
  if (refuses) return Match::kRefusal;
  return (flags & kTruncated) != 0 ? Match::kTruncated : Match::kAnswer;
}

}  // namespace

class ExchangeSockets::Registration {
 public:
  Registration(ExchangeSockets* sockets, TcpStream* socket)
      : sockets_(sockets), position_(sockets->open_.insert(sockets->open_.end(), socket)) {
    if (sockets->closed_) socket->Close(Stream::How::kReset);
  }
  ~Registration() { sockets_->open_.erase(position_); }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  ExchangeSockets* const sockets_;
  const std::list<TcpStream*>::iterator position_;
};

void ExchangeSockets::CloseAll() {
  closed_ = true;
  for (TcpStream* socket : open_) socket->Close(Stream::How::kReset);
}

namespace {

// The functions below are awaited with what they refer to kept alive by ExchangeDns.

// nullopt: TCP is needed.
Task<absl::StatusOr<std::optional<UpstreamAnswer>>> OverUdp(boost::asio::io_context* context,
                                                            ExchangeSockets* sockets,
                                                            const DnsExchange* exchange) {
  CO_ASSIGN_OR_RETURN(UniqueFd socket, Connect(exchange->server, SOCK_DGRAM));
  // Only waits; datagrams are sent and received here.
  TcpStream stream(*context, std::move(socket), TcpStream::Socket::kNonBlocking);
  const ExchangeSockets::Registration registration(sockets, &stream);
  stream.SetDeadline(exchange->deadline);
  const Question question = Spell(*exchange);
  if (::send(stream.native_handle(), question.message.data(), question.message.size(),
             MSG_NOSIGNAL) < 0) {
    co_return NotReached(exchange->server, errno);
  }
  std::array<char, kOurEdnsBytes> buffer;
  int mismatches = 0;
  while (mismatches <= kMaxMismatches) {
    const absl::Status readable = co_await stream.WaitReadable();
    if (!readable.ok()) co_return Ended(readable, exchange->server);
    const ssize_t received =
        ::recv(stream.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (received < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) continue;
      co_return NotReached(exchange->server, errno);
    }
    if (static_cast<size_t>(received) > buffer.size()) co_return std::nullopt;
    const std::string_view message(buffer.data(), received);
    switch (MatchAnswer(question, exchange->type, Spelling::kCounts, message)) {
      case Match::kOther:
        ++mismatches;
        continue;
      case Match::kOtherSpelling:
      case Match::kTruncated:
        co_return std::nullopt;
      case Match::kRefusal:
        co_return RefusedBy(exchange->server, ReadU16(message, 2) & kRcode);
      case Match::kAnswer:
        break;
    }
    CO_ASSIGN_OR_RETURN(
        UpstreamAnswer answer,
        UpstreamAnswer::Parse(std::string(message), question.wire_name, exchange->type));
    co_return std::optional<UpstreamAnswer>(std::move(answer));
  }
  co_return std::nullopt;
}

Task<absl::Status> ReadFully(TcpStream* stream, std::span<char> buffer) {
  while (!buffer.empty()) {
    const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
    if (!count.ok()) co_return count.status();
    if (*count == 0) co_return absl::UnavailableError("a resolver closed the connection");
    buffer = buffer.subspan(*count);
  }
  co_return absl::OkStatus();
}

// The answer as received.
Task<absl::StatusOr<std::string>> Converse(TcpStream* stream, const DnsServerAddress* server,
                                           const std::string* message) {
  CO_RETURN_IF_ERROR(co_await stream->WaitWritable());
  int error = 0;
  socklen_t error_length = sizeof(error);
  getsockopt(stream->native_handle(), SOL_SOCKET, SO_ERROR, &error, &error_length);
  if (error != 0) co_return NotReached(*server, error);
  std::string length;
  AppendU16(static_cast<uint16_t>(message->size()), &length);
  const std::array<std::string_view, 2> pieces = {length, *message};
  CO_RETURN_IF_ERROR(co_await stream->Write(pieces));
  std::array<char, 2> prefix = {};
  CO_RETURN_IF_ERROR(co_await ReadFully(stream, prefix));
  std::string answer(ReadU16(std::string_view(prefix.data(), prefix.size()), 0), '\0');
  CO_RETURN_IF_ERROR(co_await ReadFully(stream, answer));
  co_return answer;
}

Task<absl::StatusOr<UpstreamAnswer>> OverTcp(boost::asio::io_context* context,
                                             ExchangeSockets* sockets,
                                             const DnsExchange* exchange) {
  CO_ASSIGN_OR_RETURN(UniqueFd socket, Connect(exchange->server, SOCK_STREAM));
  TcpStream stream(*context, std::move(socket), TcpStream::Socket::kConnecting);
  const ExchangeSockets::Registration registration(sockets, &stream);
  stream.SetDeadline(exchange->deadline);
  const Question question = Spell(*exchange);
  absl::StatusOr<std::string> message =
      co_await Converse(&stream, &exchange->server, &question.message);
  if (!message.ok()) co_return Ended(message.status(), exchange->server);
  // Nobody else can answer on this connection.
  switch (MatchAnswer(question, exchange->type, Spelling::kIgnored, *message)) {
    case Match::kOther:
    case Match::kOtherSpelling:
      co_return absl::FailedPreconditionError("a resolver answers another question");
    case Match::kRefusal:
      co_return RefusedBy(exchange->server, ReadU16(*message, 2) & kRcode);
    case Match::kTruncated:
    case Match::kAnswer:
      break;
  }
  co_return UpstreamAnswer::Parse(*std::move(message), question.wire_name, exchange->type);
}

}  // namespace

absl::StatusOr<DnsServerAddress> DnsServerAddress::Parse(std::string_view text) {
  DnsServerAddress server;
  absl::StatusOr<IpAddress> bare = IpAddress::Parse(text);
  if (bare.ok()) {
    server.address = *bare;
    return server;
  }
  const absl::StatusOr<Authority> authority = Authority::Parse(text);
  if (!authority.ok() || !authority->host.is_address()) {
    return absl::InvalidArgumentError(
        StrCat("resolver ", Quote(text), ": write ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT"));
  }
  server.address = authority->host.address();
  server.port = authority->port.value_or(server.port);
  return server;
}

Task<absl::StatusOr<UpstreamAnswer>> ExchangeDns(boost::asio::io_context* context,
                                                 std::shared_ptr<ExchangeSockets> sockets,
                                                 DnsExchange exchange) {
  absl::StatusOr<std::optional<UpstreamAnswer>> answer =
      co_await OverUdp(context, sockets.get(), &exchange);
  if (!answer.ok()) co_return answer.status();
  if (answer->has_value()) co_return **std::move(answer);
  absl::StatusOr<UpstreamAnswer> over_tcp = co_await OverTcp(context, sockets.get(), &exchange);
  co_return over_tcp;
}

}  // namespace sallyport::proxy
