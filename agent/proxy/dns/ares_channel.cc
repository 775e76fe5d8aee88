#include "agent/proxy/dns/ares_channel.h"

#include <netinet/in.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/proxy/dns/message.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr int kClassIn = 1;
constexpr int kRounds = 2;
// Attempts of later rounds take twice as long as those before.
constexpr int kAttemptsPerServer = 1 + 2;
constexpr std::chrono::milliseconds kLeastAttempt{100};

absl::Status LibraryStatus() {
  static const int status = ares_library_init(ARES_LIB_INIT_ALL);
  if (status == ARES_SUCCESS) return absl::OkStatus();
  return absl::InternalError(StrCat("c-ares does not start: ", ares_strerror(status)));
}

absl::Status NoAnswer(int status) {
  const std::string message =
      StrCat("no answer of the configured resolvers: ", ares_strerror(status));
  if (status == ARES_ETIMEOUT) return absl::DeadlineExceededError(message);
  if (status == ARES_EBADNAME) return absl::NotFoundError(message);
  return absl::UnavailableError(message);
}

}  // namespace

// One query. The channel outlives it.
struct AresChannel::Call {
  AresChannel* channel;
  Done done;
};

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

AresChannel::AresChannel(boost::asio::io_context& context, std::chrono::milliseconds attempt)
    : context_(context), attempt_(attempt), timer_(context.get_executor()) {}

AresChannel::~AresChannel() { Close(); }

absl::StatusOr<std::shared_ptr<AresChannel>> AresChannel::Create(
    boost::asio::io_context& context, const std::vector<DnsServerAddress>& servers,
    std::chrono::milliseconds budget) {
  RETURN_IF_ERROR(LibraryStatus());
  const int attempts = static_cast<int>(std::max<size_t>(servers.size(), 1)) * kAttemptsPerServer;
  std::shared_ptr<AresChannel> self(
      new AresChannel(context, std::max(budget / attempts, kLeastAttempt)));

  // Everything that c-ares would otherwise look up in /etc/resolv.conf is set, so that it reads
  // none.
  ares_options options = {};
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
             ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST |
             ARES_OPT_EDNSPSZ | ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB;
  char lookups[] = "b";  // The network only, no hosts file.
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS;
  options.timeout = static_cast<int>(self->attempt_.count());
  options.tries = kRounds;
  options.lookups = lookups;
  options.ednspsz = kOurEdnsBytes;
  options.sock_state_cb = &AresChannel::OnSocketState;
  options.sock_state_cb_data = self.get();
  int status = ares_init_options(&self->channel_, &options, mask);
  if (status != ARES_SUCCESS) {
    self->channel_ = nullptr;
    return absl::InternalError(StrCat("c-ares does not start: ", ares_strerror(status)));
  }

  std::vector<ares_addr_port_node> nodes(servers.size());
  for (size_t i = 0; i < servers.size(); ++i) {
    const IpAddress& address = servers[i].address;
    nodes[i].next = i + 1 < nodes.size() ? &nodes[i + 1] : nullptr;
    nodes[i].family = address.is_v4() ? AF_INET : AF_INET6;
    std::memcpy(&nodes[i].addr, address.bytes().data(), address.byte_length());
    nodes[i].udp_port = nodes[i].tcp_port = servers[i].port;
  }
  if (!nodes.empty()) status = ares_set_servers_ports(self->channel_, nodes.data());
  if (status != ARES_SUCCESS) {
    return absl::InternalError(StrCat("c-ares takes no servers: ", ares_strerror(status)));
  }
  return self;
}

void AresChannel::Query(const std::string& name, int type, Done done) {
  if (closed()) {
    done(absl::UnavailableError("the resolver is stopped"));
    return;
  }
  ++under_way_;
  ares_query(channel_, name.c_str(), kClassIn, type, &AresChannel::OnAnswer,
             new Call{this, std::move(done)});
  ArmTimer();
}

void AresChannel::OnAnswer(void* call, int status, int /*timeouts*/, unsigned char* bytes,
                           int length) {
  const std::unique_ptr<Call> owned(static_cast<Call*>(call));
  AresChannel& channel = *owned->channel;
  if (--channel.under_way_ == 0) {
    channel.timer_.cancel();
    channel.timer_armed_ = false;
  }
  const bool is_answer =
      status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
  if (is_answer && bytes != nullptr) {
    owned->done(std::string(reinterpret_cast<const char*>(bytes), length));
  } else {
    owned->done(NoAnswer(status));
  }
}

void AresChannel::OnSocketState(void* self, ares_socket_t socket, int readable, int writable) {
  auto* channel = static_cast<AresChannel*>(self);
  if (readable == 0 && writable == 0) {
    // c-ares closes the socket right after this.
    const auto found = channel->watches_.find(socket);
    if (found == channel->watches_.end()) return;
    found->second->descriptor.release();
    channel->watches_.erase(found);
    return;
  }
  std::shared_ptr<Watch>& watch = channel->watches_[socket];
  if (watch == nullptr) {
    watch = std::make_shared<Watch>(channel->context_);
    boost::system::error_code error;
    watch->descriptor.assign(socket, error);
    // Without a watch the attempt times out, and the query with it.
    if (error) {
      channel->watches_.erase(socket);
      return;
    }
  }
  watch->wants_read = readable != 0;
  watch->wants_write = writable != 0;
  channel->Arm(watch);
}

void AresChannel::Arm(const std::shared_ptr<Watch>& watch) {
  const auto wait = [this, &watch](boost::asio::posix::descriptor_base::wait_type kind,
                                   bool Watch::* pending, bool write) {
    watch.get()->*pending = true;
    watch->descriptor.async_wait(kind, [self = shared_from_this(), watch, pending,
                                        write](const boost::system::error_code& error) {
      watch.get()->*pending = false;
      // Released, perhaps to serve another socket of the same number.
      if (error || self->closed() || !watch->descriptor.is_open()) return;
      const ares_socket_t socket = watch->descriptor.native_handle();
      ares_process_fd(self->channel_, write ? ARES_SOCKET_BAD : socket,
                      write ? socket : ARES_SOCKET_BAD);
      if (!self->closed() && watch->descriptor.is_open()) self->Arm(watch);
    });
  };
  using Base = boost::asio::posix::descriptor_base;
  if (watch->wants_read && !watch->reading) wait(Base::wait_read, &Watch::reading, false);
  if (watch->wants_write && !watch->writing) wait(Base::wait_write, &Watch::writing, true);
}

void AresChannel::ArmTimer() {
  if (closed() || under_way_ == 0) return;
  // No attempt that begins later ends before this, so an armed timer that is due earlier stays.
  const Clock::time_point now = Clock::now();
  if (timer_armed_ && timer_.expiry() <= now + attempt_) return;
  timeval next = {};
  timeval longest = {};
  longest.tv_sec = 1;
  const timeval* due = ares_timeout(channel_, &longest, &next);
  // c-ares acts on what is past, not on what is due now.
  const auto wait = std::chrono::seconds(due->tv_sec) + std::chrono::microseconds(due->tv_usec) +
                    std::chrono::milliseconds(1);
  timer_armed_ = true;
  timer_.expires_after(wait);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;  // Armed anew, or closed.
    self->timer_armed_ = false;
    if (self->closed()) return;
    ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    self->ArmTimer();
  });
}

void AresChannel::Close() {
  if (closed()) return;
  timer_.cancel();
  // Calls back for every query; what those start must find the channel closed.
  ares_destroy(std::exchange(channel_, nullptr));
}

}  // namespace sallyport::proxy
