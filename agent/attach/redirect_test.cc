// What a process inside meets, in real namespaces. The agent's side is played by the sockets that
// RedirectNamespace made.

#include "agent/attach/redirect.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/select.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/attach/loopback.h"
#include "agent/attach/ruleset.h"
#include "agent/testing/test_network.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

// Both families in each test.
struct Family {
  const char* name;
  int family;
  const char* elsewhere;
  const char* source;
  const char* loopback;
};

class RedirectTest : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    absl::StatusOr<Redirected> sockets = RedirectNamespace(network_.Open());
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    sockets_ = std::move(sockets->sockets);
  }

  int family() const { return GetParam().family; }
  int listener() const {
    return family() == AF_INET ? sockets_.tcp_v4.get() : sockets_.tcp_v6.get();
  }
  int dns() const { return family() == AF_INET ? sockets_.dns_v4.get() : sockets_.dns_v6.get(); }

  // Returns errno of the connect, 0 if it succeeded.
  static int Connect(const UniqueFd& socket, const TestAddress& address) {
    return connect(socket.get(), address.get(), address.length()) == 0 ? 0 : errno;
  }
  static TestAddress LocalName(int socket) {
    sockaddr_storage storage{};
    socklen_t length = sizeof(storage);
    EXPECT_EQ(getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length), 0);
    return TestAddress(storage);
  }

  TestNetwork network_;
  ContainerSockets sockets_;
};

TEST_P(RedirectTest, TcpArrivesWithTheAddressThatWasDialled) {
  for (const uint16_t port : {uint16_t{80}, uint16_t{443}, uint16_t{53}, uint16_t{15053}}) {
    UniqueFd client = network_.Socket(family(), SOCK_STREAM);
    const TestAddress dialled(GetParam().elsewhere, port);
    ASSERT_EQ(Connect(client, dialled), 0) << port;
    ASSERT_TRUE(WaitFor(listener(), POLLIN));
    sockaddr_storage peer{};
    socklen_t length = sizeof(peer);
    UniqueFd served(accept4(listener(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC));
    ASSERT_TRUE(served.valid());
    EXPECT_EQ(LocalName(served.get()).ToString(), dialled.ToString());
    EXPECT_EQ(TestAddress(peer).ToString(), LocalName(client.get()).ToString());
    EXPECT_NE(LocalName(client.get()).ToString().find(GetParam().source), std::string::npos);

    char buffer[8];
    ASSERT_EQ(send(client.get(), "ping", 4, 0), 4);
    ASSERT_EQ(recv(served.get(), buffer, sizeof(buffer), 0), 4);
    ASSERT_EQ(send(served.get(), "pong", 4, 0), 4);
    ASSERT_EQ(recv(client.get(), buffer, sizeof(buffer), 0), 4);
    EXPECT_EQ(std::string(buffer, 4), "pong");
  }
}

TEST_P(RedirectTest, DnsToAnyServerIsAnsweredFromThatServersAddress) {
  for (const char* server : {GetParam().elsewhere, GetParam().loopback}) {
    UniqueFd client = network_.Socket(family(), SOCK_DGRAM);
    // A connected socket takes nothing that comes from anywhere else.
    ASSERT_EQ(Connect(client, TestAddress(server, 53)), 0);
    ASSERT_EQ(send(client.get(), "question", 8, 0), 8);
    ASSERT_TRUE(WaitFor(dns(), POLLIN)) << server;
    char buffer[16];
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    ASSERT_EQ(
        recvfrom(dns(), buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &length), 8);
    ASSERT_EQ(sendto(dns(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&from), length), 6);
    ASSERT_TRUE(WaitFor(client.get(), POLLIN)) << server;
    EXPECT_EQ(recv(client.get(), buffer, sizeof(buffer), 0), 6) << server;
  }
}

TEST_P(RedirectTest, OtherUdpIsRefusedAtOnce) {
  for (const uint16_t port : {uint16_t{443}, uint16_t{5353}, uint16_t{15053}}) {
    UniqueFd client = network_.Socket(family(), SOCK_DGRAM);
    ASSERT_EQ(Connect(client, TestAddress(GetParam().elsewhere, port)), 0);
    ASSERT_EQ(send(client.get(), "quic", 4, 0), 4);
    ASSERT_TRUE(WaitFor(client.get(), POLLIN)) << port;
    char byte;
    EXPECT_EQ(recv(client.get(), &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNREFUSED) << port;
  }
}

TEST_P(RedirectTest, PingsGoNowhere) {
  const bool v4 = family() == AF_INET;
  UniqueFd raw = network_.Socket(family(), SOCK_RAW, v4 ? IPPROTO_ICMP : int{IPPROTO_ICMPV6});
  // Type echo request, code 0, checksum (IPv6: the kernel's task), id 0, sequence 0.
  const unsigned char request[8] = {static_cast<unsigned char>(v4 ? 8 : 128), 0,
                                    static_cast<unsigned char>(v4 ? 0xf7 : 0),
                                    static_cast<unsigned char>(v4 ? 0xff : 0)};
  // Delivery on a loopback is over when sendto returns: had the request come in, this socket would
  // have seen it.
  const TestAddress elsewhere(GetParam().elsewhere, 0);
  ASSERT_EQ(sendto(raw.get(), request, 8, 0, elsewhere.get(), elsewhere.length()), 8);
  char buffer[128];
  EXPECT_EQ(recv(raw.get(), buffer, sizeof(buffer), MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);

  const TestAddress self(GetParam().loopback, 0);
  ASSERT_EQ(sendto(raw.get(), request, 8, 0, self.get(), self.length()), 8);
  EXPECT_TRUE(WaitFor(raw.get(), POLLIN));
}

TEST_P(RedirectTest, TheContainersOwnLoopbackWorks) {
  for (const char* own : {GetParam().loopback, GetParam().source}) {
    UniqueFd server = network_.Socket(family(), SOCK_STREAM);
    const TestAddress any(own, 0);
    ASSERT_EQ(bind(server.get(), any.get(), any.length()), 0);
    ASSERT_EQ(listen(server.get(), 1), 0);
    UniqueFd client = network_.Socket(family(), SOCK_STREAM);
    ASSERT_EQ(Connect(client, LocalName(server.get())), 0) << own;
    UniqueFd served(accept(server.get(), nullptr, nullptr));
    EXPECT_TRUE(served.valid()) << own;
  }
}

TEST_P(RedirectTest, TheListenerIsNotForCalling) {
  UniqueFd client = network_.Socket(family(), SOCK_STREAM);
  EXPECT_EQ(Connect(client, TestAddress(GetParam().loopback, kTcpListenerPort)), ECONNREFUSED);
}

TEST_P(RedirectTest, AListenersPortElsewhereIsAPortLikeAnyOther) {
  UniqueFd client = network_.Socket(family(), SOCK_STREAM);
  const TestAddress dialled(GetParam().elsewhere, kTcpListenerPort);
  ASSERT_EQ(Connect(client, dialled), 0);
  UniqueFd served(accept(listener(), nullptr, nullptr));
  EXPECT_EQ(LocalName(served.get()).ToString(), dialled.ToString());
}

TEST_P(RedirectTest, PortsCannotBeTakenOver) {
  const int one = 1;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    UniqueFd thief = network_.Socket(family(), type);
    setsockopt(thief.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(thief.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    const TestAddress address(GetParam().loopback,
                              type == SOCK_STREAM ? kTcpListenerPort : kDnsSocketPort);
    const bool bound = bind(thief.get(), address.get(), address.length()) == 0;
    EXPECT_FALSE(bound && (type == SOCK_DGRAM || listen(thief.get(), 1) == 0));
  }
}

TEST_P(RedirectTest, WithTheSocketsClosedNothingIsAnswered) {
  sockets_ = ContainerSockets();
  UniqueFd client = network_.Socket(family(), SOCK_STREAM | SOCK_NONBLOCK);
  EXPECT_EQ(Connect(client, TestAddress(GetParam().elsewhere, 80)), EINPROGRESS);
  char buffer[1];
  EXPECT_EQ(recv(client.get(), buffer, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_P(RedirectTest, WithTheRulesFlushedNothingLeavesAndNobodyAnswers) {
  network_.Run([] { ASSERT_EQ(std::system("/usr/sbin/nft flush ruleset"), 0); });
  UniqueFd client = network_.Socket(family(), SOCK_STREAM);
  // Every address is local, and nobody listens.
  EXPECT_EQ(Connect(client, TestAddress(GetParam().elsewhere, 80)), ECONNREFUSED);
}

TEST_P(RedirectTest, ANamespaceCanBeRedirectedAnew) {
  sockets_ = ContainerSockets();
  absl::StatusOr<Redirected> sockets = RedirectNamespace(network_.Open());
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  sockets_ = std::move(sockets->sockets);
  UniqueFd client = network_.Socket(family(), SOCK_STREAM);
  EXPECT_EQ(Connect(client, TestAddress(GetParam().elsewhere, 80)), 0);
}

TEST_P(RedirectTest, Ipv6TurnedOffIsTurnedOn) {
  TestNetwork network;
  network.Run([] {
    UniqueFd setting(open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY));
    ASSERT_EQ(write(setting.get(), "1\n", 2), 2);
  });
  absl::StatusOr<Redirected> sockets = RedirectNamespace(network.Open());
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  UniqueFd client = network.Socket(family(), SOCK_STREAM);
  EXPECT_EQ(Connect(client, TestAddress(GetParam().elsewhere, 80)), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Families, RedirectTest,
    testing::Values(Family{"Ipv4", AF_INET, "198.51.100.7", kSourceV4, "127.0.0.1"},
                    Family{"Ipv6", AF_INET6, "2001:db8::7", kSourceV6, "::1"}),
    [](const testing::TestParamInfo<Family>& info) { return info.param.name; });

// Commands as root inside; true: they printed nothing.
bool PrintsNothing(const TestNetwork& network, const std::string& command) {
  bool nothing = false;
  network.Run([&] { nothing = std::system(("test -z \"$(" + command + ")\"").c_str()) == 0; });
  return nothing;
}

// As many as an agent with hundreds of containers has: more than select(2) takes.
TEST(RedirectFailureTest, ManyDescriptorsAreNoFailure) {
  std::vector<UniqueFd> taken;
  while (taken.empty() || taken.back().get() < FD_SETSIZE) {
    taken.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(taken.back().valid()) << "raise the limit of descriptors: ulimit -n";
  }
  TestNetwork network;
  EXPECT_TRUE(RedirectNamespace(network.Open()).ok());
}

TEST(RedirectFailureTest, AWireIsRefusedAndNothingIsTouched) {
  TestNetwork network;
  network.Run([] { ASSERT_EQ(std::system("ip link add wire0 type veth peer name wire1"), 0); });
  EXPECT_EQ(RedirectNamespace(network.Open()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(PrintsNothing(network, "/usr/sbin/nft list ruleset"));
  EXPECT_TRUE(PrintsNothing(network, "ip addr show dev lo up"));
}

TEST(RedirectFailureTest, ATakenPortLeavesNothingBehind) {
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    for (const auto& [type, port] :
         {std::pair{SOCK_STREAM, kTcpListenerPort}, std::pair{SOCK_DGRAM, kDnsSocketPort}}) {
      TestNetwork network;
      network.Run([] { ASSERT_TRUE(MakeEveryAddressLocal().ok()); });
      const TestAddress address(loopback, port);
      UniqueFd taken = network.Socket(address.family(), type);
      ASSERT_EQ(bind(taken.get(), address.get(), address.length()), 0);
      if (type == SOCK_STREAM) ASSERT_EQ(listen(taken.get(), 1), 0);
      const absl::Status status = RedirectNamespace(network.Open()).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
      EXPECT_TRUE(PrintsNothing(network, "/usr/sbin/nft list ruleset"));
      EXPECT_TRUE(PrintsNothing(network, "ip route show table all | grep default"));
      EXPECT_TRUE(PrintsNothing(network, "ip -6 route show table all | grep default"));
      EXPECT_TRUE(PrintsNothing(network, "ip addr | grep -e 192.0.2.2 -e fd5a"));
    }
  }
}

}  // namespace
}  // namespace sallyport::agent
