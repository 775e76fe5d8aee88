// Whatever a container sends, over TCP or inside of TLS: the secret that only the handler holds
// does not come back, no origin sees a request that it should not see (see Outside), and the denied
// one is not connected to. The first byte says how the connection is made and how the bytes are cut
// into segments.

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <utility>

#include "agent/proxy/builtin/rates.h"
#include "agent/proxy/handlers/lease_table.h"
#include "agent/proxy/leak/outside.h"
#include "agent/proxy/tls/testing/blocking_peer.h"
#include "agent/proxy/worker.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/policy/policy_testing.h"

using namespace sallyport;
using namespace sallyport::proxy;

namespace {

constexpr char kPolicy[] =
    "enable_internet: false intercept_https: true"
    " allowed_hosts { hosts: 'vault.test' hosts: '127.0.0.3' }"
    " outbound_by_host { host: 'vault.test' handler { handler: 'keeper' } }";
// For a connection that the proxy does not end.
constexpr timeval kPatience{.tv_sec = 12, .tv_usec = 0};

// A network of our own, so that ports are free and nothing leaves it.
void EnterOwnNetwork() {
  SALLYPORT_CHECK(unshare(CLONE_NEWNET) == 0);
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  SALLYPORT_CHECK(ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd Listen(uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  SALLYPORT_CHECK(
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  SALLYPORT_CHECK(listen(socket.get(), SOMAXCONN) == 0);
  return socket;
}

// libFuzzer's alarm interrupts what sleeps; the connection is made all the same (connect(2)).
bool AwaitConnected(const UniqueFd& socket) {
  pollfd writable{socket.get(), POLLOUT, 0};
  while (poll(&writable, 1, -1) != 1) SALLYPORT_CHECK(errno == EINTR);
  int error = 0;
  socklen_t length = sizeof(error);
  return getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

UniqueFd Connect(uint16_t port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  SALLYPORT_CHECK(
      connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      (errno == EINTR && AwaitConnected(socket)));
  const int one = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  return socket;
}

// The proxy with one container, and what is outside.
class World {
 public:
  World()
      : root_(MakeRoot("leak")),
        client_context_(MakeClientContext(root_.CertificatePem(), time(nullptr))) {
    auto config = std::make_shared<WorkerConfig>();
    config->open_ranges.push_back(Cidr::Parse("127.0.0.0/8").value());
    config->roots = UpstreamTls::ParseRoots(root_.CertificatePem()).value();
    worker_ = Worker::Create(std::move(config)).value();
    worker_->Start();
    auto snapshot = std::make_shared<PolicySnapshot>();
    snapshot->containers["i"] = std::make_shared<EffectivePolicy>(Given(kPolicy));
    auto handler = std::make_shared<HandlerSpec>();
    handler->name = "keeper";
    handler->endpoints.push_back(
        HandlerEndpoint::Parse(StrCat("grpc://", kHandlerAddress, ":", kHandlerPort)).value());
    handler->timeout_ms = 5000;
    snapshot->handlers["keeper"] = std::move(handler);
    OnWorker([&] { worker_->SwapSnapshot(std::move(snapshot)); });
  }

  // Attached anew, so that an input's outcome depends on nothing before it.
  void Attach() {
    ContainerSetup setup;
    setup.id = "i";
    setup.leaves = LeafAuthority::Create(root_.CertificateDer(), root_.KeyDer()).value();
    setup.dns = std::make_shared<ContainerDns>(DnsLimits{});
    setup.budget = std::make_shared<ContainerBudget>(ContainerLimits{});
    setup.builtin_rates = std::make_shared<BuiltinRates>();
    setup.leases = std::make_shared<LeaseTable>();
    for (const UniqueFd& listener : listeners_) {
      setup.tcp_listeners.emplace_back(fcntl(listener.get(), F_DUPFD_CLOEXEC, 0));
    }
    OnWorker([&] {
      const absl::Status added = worker_->AddContainer(std::move(setup));
      SALLYPORT_CHECK(added.ok());
    });
  }
  void Detach() {
    OnWorker([&] { worker_->RemoveContainer("i"); });
  }

  SSL_CTX* client_context() { return client_context_.get(); }

 private:
  void OnWorker(std::function<void()> work) {
    std::promise<void> done;
    worker_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  const Outside outside_;
  const std::array<UniqueFd, 2> listeners_ = {Listen(80), Listen(443)};
  const Identity root_;
  const bssl::UniquePtr<SSL_CTX> client_context_;
  std::unique_ptr<Worker> worker_;
};

// Sends in segments and reads to the end. What the proxy has to say may come while bytes are still
// going out; the socket's buffers hold both.
std::string Converse(int fd, std::string_view bytes, size_t segment) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), std::min(segment, bytes.size()), MSG_NOSIGNAL);
    if (sent <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  shutdown(fd, SHUT_WR);
  std::string answer;
  std::array<char, 16 * 1024> buffer;
  while (true) {
    const ssize_t count = recv(fd, buffer.data(), buffer.size(), 0);
    if (count < 0) SALLYPORT_CHECK(errno != EAGAIN);  // The proxy has forgotten the connection.
    if (count <= 0) return answer;
    answer.append(buffer.data(), static_cast<size_t>(count));
  }
}

std::string ConverseOverTls(World& world, bool http2, std::string_view bytes) {
  bssl::UniquePtr<SSL> ssl = MakeClient(world.client_context(), "vault.test");
  static constexpr uint8_t kHttp1[] = "\x08http/1.1";
  static constexpr uint8_t kHttp2[] = "\x02h2";
  if (http2) {
    SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof(kHttp2) - 1);
  } else {
    SSL_set_alpn_protos(ssl.get(), kHttp1, sizeof(kHttp1) - 1);
  }
  std::string answer;
  BlockingPeer client(Connect(443), std::move(ssl), [&](SSL* shaken, int) {
    WriteAll(shaken, std::string(bytes));
    SSL_shutdown(shaken);
    answer = ReadAll(shaken);
  });
  (void)client.Join();
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World* const world = [] {
    EnterOwnNetwork();
    return new World;
  }();
  if (size == 0 || size > 64 * 1024) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  // libFuzzer learns what its input is compared with. Who knows the secret finds out nothing.
  if (bytes.find(kSecret) != std::string_view::npos) return -1;
  const int way = data[0] % 4;  // 0, 1: plain. 2, 3: in TLS.
  const size_t segment = 1 + data[0] / 4 * 32;
  world->Attach();
  std::string answer;
  if (way < 2) {
    answer = Converse(Connect(80).get(), bytes, way == 0 ? bytes.size() + 1 : segment);
  } else {
    answer = ConverseOverTls(*world, way == 3, bytes);
  }
  world->Detach();
  SALLYPORT_CHECK(answer.find(kSecret) == std::string::npos);
  return 0;
}
