#include "tests/fakes/fake_dns.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::fakes {
namespace {

using proxy::BadDnsQuery;
using proxy::DnsQuery;
using proxy::DnsRcode;

constexpr int kBindAttempts = 20;
constexpr size_t kMaxTcpReply = 65535;

absl::Status SystemError(std::string_view call) {
  return absl::UnavailableError(StrCat(call, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<FakeDns>> FakeDns::Start(std::string_view listen, DnsZone zone,
                                                        OnQuery on_query) {
  // Authority knows no port 0.
  const bool any_port = listen.ends_with(":0");
  if (any_port) listen.remove_suffix(2);
  ASSIGN_OR_RETURN(const Authority authority, Authority::Parse(listen));
  if (!authority.host.is_address()) return absl::InvalidArgumentError("listen on an address");
  std::unique_ptr<FakeDns> self(
      new FakeDns(authority.host.address(), std::move(zone), std::move(on_query)));
  absl::Status bound = absl::OkStatus();
  // A port that is free for UDP may be taken for TCP.
  for (int i = 0; i < kBindAttempts; ++i) {
    bound = self->Bind(any_port ? 0 : authority.port.value_or(53));
    if (bound.ok() || !any_port) break;
  }
  RETURN_IF_ERROR(bound);
  self->thread_ = std::thread([server = self.get()] { server->Run(); });
  return self;
}

FakeDns::FakeDns(IpAddress listen, DnsZone zone, OnQuery on_query)
    : listen_(listen),
      zone_(std::move(zone)),
      on_query_(std::move(on_query)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {}

FakeDns::~FakeDns() {
  ::eventfd_write(stop_.get(), 1);
  if (thread_.joinable()) thread_.join();
  for (const auto& [socket, unread] : connections_) ::close(socket);
}

absl::Status FakeDns::Bind(uint16_t port) {
  const int family = listen_.is_v4() ? AF_INET : AF_INET6;
  udp_ = UniqueFd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  tcp_ = UniqueFd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!udp_.valid() || !tcp_.valid()) return SystemError("socket");
  const int on = 1;
  ::setsockopt(tcp_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_storage storage;
  socklen_t length = listen_.ToSockaddr(port, &storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::bind(udp_.get(), address, length) != 0) return SystemError("bind (UDP)");
  if (::getsockname(udp_.get(), address, &length) != 0) return SystemError("getsockname");
  if (::bind(tcp_.get(), address, length) != 0) return SystemError("bind (TCP)");
  if (::listen(tcp_.get(), 64) != 0) return SystemError("listen");
  // The port is at the same place in both families.
  port_ = ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  return absl::OkStatus();
}

std::string FakeDns::address() const { return StrCat(listen_.ToUriString(), ":", port_); }

std::vector<std::string> FakeDns::queries() const {
  MutexLock lock(&mutex_);
  return queries_;
}

void FakeDns::Run() {
  while (true) {
    std::vector<pollfd> polled = {
        {stop_.get(), POLLIN, 0}, {udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
    for (const auto& [socket, unread] : connections_) polled.push_back({socket, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (polled[0].revents != 0) return;
    if (polled[1].revents != 0) ServeUdp();
    for (size_t i = 3; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      if (ServeTcp(polled[i].fd, &connections_[polled[i].fd])) continue;
      ::close(polled[i].fd);
      connections_.erase(polled[i].fd);
    }
    if (polled[2].revents != 0) {
      const int socket = ::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (socket >= 0) connections_[socket] = "";
    }
  }
}

void FakeDns::ServeUdp() {
  std::array<char, 65536> buffer;
  sockaddr_storage client;
  socklen_t length = sizeof(client);
  auto* address = reinterpret_cast<sockaddr*>(&client);
  const ssize_t received =
      ::recvfrom(udp_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, address, &length);
  if (received < 0) return;
  const std::string reply = Reply(std::string_view(buffer.data(), received), Transport::kUdp);
  if (!reply.empty()) ::sendto(udp_.get(), reply.data(), reply.size(), 0, address, length);
}

bool FakeDns::ServeTcp(int socket, std::string* unread) {
  std::array<char, 4096> buffer;
  const ssize_t received = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received <= 0) return received < 0 && errno == EAGAIN;
  unread->append(buffer.data(), received);
  while (unread->size() >= 2) {
    const size_t length = proxy::ReadU16(*unread, 0);
    if (unread->size() < 2 + length) break;
    const std::string reply = Reply(unread->substr(2, length), Transport::kTcp);
    unread->erase(0, 2 + length);
    if (reply.empty()) continue;
    std::string framed;
    proxy::AppendU16(static_cast<uint16_t>(reply.size()), &framed);
    framed += reply;
    if (::send(socket, framed.data(), framed.size(), MSG_NOSIGNAL) < 0) return false;
  }
  return true;
}

std::string FakeDns::Reply(std::string_view message, Transport transport) {
  const std::variant<DnsQuery, BadDnsQuery> parsed = proxy::ParseDnsQuery(message);
  if (const BadDnsQuery* bad = std::get_if<BadDnsQuery>(&parsed)) return bad->reply;
  const DnsQuery& query = std::get<DnsQuery>(parsed);
  const std::string name = query.host.has_value() ? query.host->text() : "-";
  const bool udp = transport == Transport::kUdp;
  const std::string line = StrCat(name, " ", proxy::DnsTypeName(query.type), udp ? " udp" : " tcp");
  {
    MutexLock lock(&mutex_);
    queries_.push_back(line);
  }
  if (on_query_) on_query_(line);

  const DnsZone::Answer answer = zone_.Find(name, query.type);
  switch (answer.fault) {
    case DnsZone::Fault::kNone:
      break;
    case DnsZone::Fault::kDrop:
      return "";
    case DnsZone::Fault::kServFail:
      return BuildDnsReply(query, DnsRcode::kServFail);
    case DnsZone::Fault::kRefused:
      return BuildDnsReply(query, DnsRcode::kRefused);
    case DnsZone::Fault::kTruncate:
      if (udp) return BuildTruncatedDnsReply(query);
      break;
    case DnsZone::Fault::kOther: {
      DnsQuery other = query;
      other.wire_name = proxy::EncodeDnsName("other.test");
      return BuildDnsReply(other, DnsRcode::kNoError, answer.records);
    }
  }
  if (answer.records.empty()) {
    const DnsRcode rcode = answer.name_exists ? DnsRcode::kNoError : DnsRcode::kNxDomain;
    if (answer.negative_ttl == 0) return BuildDnsReply(query, rcode);
    return BuildNegativeDnsReply(query, rcode, answer.negative_ttl);
  }
  if (!udp) return BuildDnsReply(query, DnsRcode::kNoError, answer.records, kMaxTcpReply);
  const std::string whole = BuildDnsReply(query, DnsRcode::kNoError, answer.records, kMaxTcpReply);
  return whole.size() <= query.max_reply_bytes ? whole : BuildTruncatedDnsReply(query);
}

}  // namespace sallyport::fakes
