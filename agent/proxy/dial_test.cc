#include "agent/proxy/dial.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/testing/run.h"
#include "agent/testing/test_network.h"
#include "common/base/unique_fd.h"
#include "common/policy/policy_testing.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kA[] = "203.0.113.1";
constexpr char kB[] = "203.0.113.2";
constexpr char kV6[] = "2001:db8::1";
// What is sent there vanishes.
constexpr char kHole[] = "203.0.113.200";
constexpr char kHole2[] = "203.0.113.201";
constexpr char kSetUp[] =
    "ip link set lo up && ip addr add 203.0.113.1/32 dev lo && ip addr add 203.0.113.2/32 dev lo "
    "&& "
    "ip addr add 203.0.113.200/32 dev lo && ip addr add 203.0.113.201/32 dev lo && "
    "ip -6 addr add 2001:db8::1/128 dev lo nodad && /usr/sbin/nft 'table inet hole { chain in { "
    "type filter hook input priority 0; ip daddr { 203.0.113.200, 203.0.113.201 } drop; }; }'";

class FakeResolver final : public Resolver {
 public:
  // `status`: in place of the addresses, unless it is OK.
  FakeResolver(boost::asio::io_context& context, std::vector<std::string> addresses,
               absl::Status status)
      : Resolver(context, ResolverOptions{}), status_(std::move(status)) {
    for (const std::string& address : addresses) addresses_.push_back(AddressOf(address));
  }
  Task<absl::StatusOr<std::vector<IpAddress>>> Resolve(Host) override {
    if (!status_.ok()) co_return status_;
    co_return addresses_;
  }
  Task<absl::StatusOr<UpstreamAnswer>> Query(Host, DnsType) override {
    co_return absl::UnimplementedError("not asked for here");
  }

 private:
  std::vector<IpAddress> addresses_;
  const absl::Status status_;
};

class Listening {
 public:
  explicit Listening(const std::string& host, uint16_t port = 0) {
    const agent::TestAddress address(host, port);
    socket_.Reset(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket_.get(), address.get(), address.length()), 0);
    EXPECT_EQ(::listen(socket_.get(), 8), 0);
  }
  uint16_t port() const {
    sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  }
  // Whether anybody has connected since the last time.
  bool Contacted() { return UniqueFd(::accept(socket_.get(), nullptr, nullptr)).valid(); }

 private:
  UniqueFd socket_;
};

// Gives the first policy at first, and the last again and again.
PolicySource Policies(std::vector<std::string> class_fields) {
  std::vector<std::shared_ptr<const EffectivePolicy>> policies;
  for (const std::string& fields : class_fields) {
    policies.push_back(fields == "none" ? nullptr
                                        : std::make_shared<const EffectivePolicy>(Given(fields)));
  }
  return [policies, next = std::make_shared<size_t>(0)] {
    const size_t now = std::min((*next)++, policies.size() - 1);
    return policies[now];
  };
}

ContainerLimits ThreeConnections() {
  ContainerLimits limits;
  EXPECT_TRUE(limits.Set("origin_connections", 3).ok());
  return limits;
}

// Each test runs inside a network namespace of its own, against real listeners.
class DialTest : public testing::Test {
 protected:
  void Inside(const std::function<void()>& test) {
    network_.Run([&test] {
      ASSERT_EQ(std::system(kSetUp), 0);
      test();
    });
  }
  DialResult DialAll(std::vector<std::string> addresses, uint16_t port,
                     PolicySource policy = Policies({""}),
                     milliseconds time = std::chrono::seconds(20),
                     std::optional<Cidr> within = {}) {
    FakeResolver resolver(context_, std::move(addresses), resolved_);
    const auto begin = steady_clock::now();
    DialResult result =
        RunTask(context_, Dial(DialContext{&context_, &resolver, &open_ranges_, budget_},
                               std::move(policy), HostOf("a.test"), port, begin + time, within));
    took_ = steady_clock::now() - begin;
    RunReady(context_);
    return result;
  }
  static std::string AddressIn(const DialResult& result) {
    const auto* dialled = std::get_if<Dialled>(&result);
    return dialled != nullptr ? dialled->address.ToString() : ReasonIn(result);
  }
  static std::string ReasonIn(const DialResult& result) {
    if (const auto* failed = std::get_if<DialFailed>(&result)) return std::string(failed->reason);
    if (const auto* denial = std::get_if<Denial>(&result))
      return std::string(ReasonName(denial->reason));
    return "dialled";
  }

  agent::TestNetwork network_;
  absl::Status resolved_;
  boost::asio::io_context context_{1};
  const std::shared_ptr<ContainerBudget> budget_ =
      std::make_shared<ContainerBudget>(ThreeConnections());
  steady_clock::duration took_{};
  // The listeners are on the namespace's own addresses.
  OpenRanges open_ranges_{*Cidr::Parse("203.0.113.0/24"), *Cidr::Parse("2001:db8::/32")};
};

TEST_F(DialTest, TakesTheFirstThatAnswersAndTriesNoOther) {
  Inside([this] {
    Listening a(kA);
    Listening b(kB, a.port());
    EXPECT_EQ(AddressIn(DialAll({kA, kB}, a.port())), kA);
    EXPECT_TRUE(a.Contacted());
    EXPECT_FALSE(b.Contacted());
  });
}

TEST_F(DialTest, GoesOnAtOnceAfterARefusal) {
  Inside([this] {
    Listening b(kB);
    EXPECT_EQ(AddressIn(DialAll({kV6, kA, kB}, b.port())), kB);
    EXPECT_LT(took_, milliseconds(500));
  });
}

TEST_F(DialTest, TriesTheNextBesideASilentOneAndClosesTheLoser) {
  Inside([this] {
    Listening a(kA);
    // Makes the event loop's own descriptors.
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port())), kA);
    const int next_descriptor = UniqueFd(::dup(0)).get();
    const DialResult result = DialAll({kHole, kHole2, kA}, a.port());
    EXPECT_EQ(AddressIn(result), kA);
    EXPECT_GE(took_, milliseconds(500));
    EXPECT_LT(took_, milliseconds(10'000));
    // The losers' descriptors are free again.
    EXPECT_EQ(UniqueFd(::dup(0)).get(), next_descriptor);
  });
}

TEST_F(DialTest, SaysWhyANameHasNoAddress) {
  struct {
    absl::StatusCode code;
    const char* reason;
  } const cases[] = {
      {absl::StatusCode::kNotFound, "origin_unreachable"},
      {absl::StatusCode::kUnavailable, "origin_unreachable"},
      {absl::StatusCode::kDeadlineExceeded, "origin_timeout"},
      {absl::StatusCode::kResourceExhausted, "overloaded"},
      {absl::StatusCode::kPermissionDenied, "dns_tunnel"},
  };
  for (const auto& test : cases) {
    resolved_ = absl::Status(test.code, "said by the resolver");
    const DialResult result = DialAll({}, 9);
    EXPECT_EQ(AddressIn(result), test.reason);
    EXPECT_EQ(std::get<DialFailed>(result).detail, "said by the resolver");
  }
}

TEST_F(DialTest, ADeniedAddressIsNeverTried) {
  Inside([this] {
    Listening a(kA);
    Listening v6(kV6, a.port());
    const PolicySource policy = Policies({"denied_hosts { hosts: '2001:db8::/32' }"});
    EXPECT_EQ(AddressIn(DialAll({kV6, kA}, a.port(), policy)), kA);
    EXPECT_TRUE(a.Contacted());
    EXPECT_FALSE(v6.Contacted());
  });
}

TEST_F(DialTest, TheDeniedOneIsNotTriedEvenIfTheOtherFails) {
  Inside([this] {
    Listening v6(kV6);
    const PolicySource policy = Policies({"denied_hosts { hosts: '2001:db8::/32' }"});
    EXPECT_EQ(AddressIn(DialAll({kV6, kA}, v6.port(), policy)), "origin_unreachable");
    EXPECT_FALSE(v6.Contacted());
  });
}

TEST_F(DialTest, SaysWhyNoneMayBeDialled) {
  Inside([this] {
    Listening a(kA);
    EXPECT_EQ(
        AddressIn(DialAll({kA}, a.port(), Policies({"denied_hosts { hosts: '203.0.113.1' }"}))),
        "denied_host");
    EXPECT_EQ(AddressIn(DialAll({"127.0.0.1", kA}, a.port(),
                                Policies({"denied_hosts { hosts: '203.0.113.1' }"}))),
              "forbidden_address");
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port(), Policies({"none"}))), "no_policy");
    EXPECT_FALSE(a.Contacted());
  });
}

TEST_F(DialTest, OutsideOfTheNetworkNoneIsTried) {
  Inside([this] {
    Listening other(kA);
    const auto dial = [&](std::vector<std::string> addresses) {
      return DialAll(std::move(addresses), other.port(), Policies({""}), std::chrono::seconds(20),
                     *Cidr::Parse("203.0.113.2/31"));
    };
    const Listening meant("203.0.113.2", other.port());
    EXPECT_EQ(AddressIn(dial({kA, "203.0.113.2"})), "203.0.113.2");
    const DialResult result = dial({kA, kV6});
    ASSERT_EQ(ReasonIn(result), "forbidden_address");
    EXPECT_EQ(std::get<Denial>(result).rule,
              "the address dialled: a.test has none in 203.0.113.2/31");
    EXPECT_FALSE(other.Contacted());
  });
}

TEST_F(DialTest, AChangeOfPolicyCountsForTheNextAddress) {
  Inside([this] {
    Listening a(kA);
    const PolicySource policy = Policies({"", "denied_hosts { hosts: '203.0.113.1' }"});
    EXPECT_EQ(AddressIn(DialAll({kHole, kA}, a.port(), policy, milliseconds(600))),
              "origin_timeout");
    EXPECT_FALSE(a.Contacted());
  });
}

TEST_F(DialTest, AChangeOfPolicyCountsForAnAddressThatHasAnswered) {
  Inside([this] {
    Listening a(kA);
    const PolicySource policy = Policies({"", "denied_hosts { hosts: '203.0.113.1' }"});
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port(), policy)), "denied_host");
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port(), Policies({"", "none"}))), "no_policy");
  });
}

TEST_F(DialTest, GivesUpAtItsDeadline) {
  Inside([this] {
    EXPECT_EQ(AddressIn(DialAll({kA, kHole, kA}, 9, Policies({""}), milliseconds(400))),
              "origin_timeout");
    EXPECT_GE(took_, milliseconds(400));
    EXPECT_LT(took_, milliseconds(10'000));
  });
}

TEST_F(DialTest, TriesABoundedNumber) {
  Inside([this] {
    size_t asked = 0;
    const PolicySource policy = [&asked, policies = Policies({""})] {
      ++asked;
      return policies();
    };
    EXPECT_EQ(AddressIn(DialAll(std::vector<std::string>(100, kA), 9, policy)),
              "origin_unreachable");
    EXPECT_EQ(asked, 16u);
  });
}

TEST_F(DialTest, TriesFewAtOnce) {
  Inside([this] {
    Listening a(kA);
    // Makes the event loop's own descriptors.
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port())), kA);
    const auto descriptors = [] {
      return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                           std::filesystem::directory_iterator());
    };
    const auto before = descriptors();
    auto most = before;
    std::vector<std::string> addresses(8, kHole);
    // Asked before each attempt.
    const PolicySource policy = [&most, descriptors, policies = Policies({""})] {
      most = std::max(most, descriptors());
      return policies();
    };
    EXPECT_EQ(AddressIn(DialAll(addresses, a.port(), policy, milliseconds(2'200))),
              "origin_timeout");
    EXPECT_EQ(most - before, 4);
    // Those that were given up do not stand in the way of the next.
    addresses.emplace_back(kA);
    EXPECT_EQ(AddressIn(DialAll(addresses, a.port())), kA);
    EXPECT_EQ(descriptors(), before);
  });
}

TEST_F(DialTest, OutOfLocalPortsIsOurFault) {
  Inside([this] {
    ASSERT_EQ(std::system("echo 50000 50001 > /proc/sys/net/ipv4/ip_local_port_range"), 0);
    Listening a(kA, 80);
    const DialResult first = DialAll({kA}, 80);
    const DialResult second = DialAll({kA}, 80);
    EXPECT_EQ(AddressIn(first), kA);
    EXPECT_EQ(AddressIn(second), kA);
    const DialResult third = DialAll({kA}, 80);
    EXPECT_EQ(AddressIn(third), "overloaded");
    EXPECT_NE(std::get<DialFailed>(third).detail.find("no local port"), std::string::npos);
    // A refusal of another address does not hide it.
    EXPECT_EQ(AddressIn(DialAll({kA, kB}, 80)), "overloaded");
  });
}

TEST_F(DialTest, HoldsItsBudgetAsLongAsTheConnection) {
  Inside([this] {
    Listening a(kA);
    std::vector<DialResult> held;
    for (int i = 0; i < 3; ++i) held.push_back(DialAll({kA}, a.port()));
    EXPECT_EQ(AddressIn(held.back()), kA);
    EXPECT_EQ(budget_->held(Limit::kDials), 0);
    const DialResult fourth = DialAll({kA}, a.port());
    ASSERT_EQ(AddressIn(fourth), "over_budget");
    EXPECT_EQ(std::get<DialFailed>(fourth).detail, "origin_connections");
    EXPECT_EQ(budget_->exceeded(Limit::kOriginConnections), 1u);
    held.pop_back();
    EXPECT_EQ(AddressIn(DialAll({kA}, 9)), "origin_unreachable");
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port())), kA);
    held.clear();
    EXPECT_EQ(budget_->held(Limit::kOriginConnections), 0);
  });
}

TEST_F(DialTest, IP20TheHostsOwnAddressesAreTheOperatorsToOpen) {
  Inside([this] {
    Listening a(kA);
    Listening v6(kV6, a.port());
    open_ranges_.clear();
    EXPECT_EQ(AddressIn(DialAll({kA, kV6}, a.port())), "forbidden_address");
    EXPECT_FALSE(a.Contacted());
    EXPECT_FALSE(v6.Contacted());
    open_ranges_.push_back(*Cidr::Parse("2001:db8::1/128"));
    EXPECT_EQ(AddressIn(DialAll({kA, kV6}, a.port())), kV6);
  });
}

TEST_F(DialTest, OutOfDescriptorsIsOurFault) {
  Inside([this] {
    Listening a(kA);
    // Makes the event loop's own descriptors.
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port())), kA);
    rlimit limit = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlimit none = {static_cast<rlim_t>(UniqueFd(::dup(0)).get()), limit.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    const DialResult result = DialAll({kA}, a.port());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(AddressIn(result), "overloaded");
    EXPECT_EQ(AddressIn(DialAll({kA}, a.port())), kA);
  });
}

}  // namespace
}  // namespace sallyport::proxy
