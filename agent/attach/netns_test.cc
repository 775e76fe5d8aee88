#include "agent/attach/netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "agent/testing/test_network.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using absl::StatusCode;

TEST(NetnsTest, FindsTheNamespaceOfAProcess) {
  TestProcess process;
  absl::StatusOr<UniqueFd> handle = OpenProcess(process.pid());
  ASSERT_TRUE(handle.ok()) << handle.status();
  absl::StatusOr<NetworkNamespace> network = NetworkNamespace::OfProcess(process.pid(), *handle);
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_NE(network->id(), NetworkNamespace::Own()->id());
}

TEST(NetnsTest, APathAndAProcessLeadToTheSameNamespace) {
  TestProcess process;
  absl::StatusOr<UniqueFd> handle = OpenProcess(process.pid());
  EXPECT_EQ(NetworkNamespace::OfProcess(process.pid(), *handle)->id(),
            NetworkNamespace::OfPath("/proc/" + std::to_string(process.pid()) + "/ns/net")->id());
}

TEST(NetnsTest, AProcessThatEndedMeanwhileIsNotFound) {
  TestProcess process;
  const pid_t pid = process.pid();
  absl::StatusOr<UniqueFd> handle = OpenProcess(pid);
  process.End();
  EXPECT_EQ(NetworkNamespace::OfProcess(pid, *handle).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(OpenProcess(pid).status().code(), StatusCode::kNotFound);
}

TEST(NetnsTest, RefusesWhatIsNoProcess) {
  EXPECT_EQ(OpenProcess(0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenProcess(-1).status().code(), StatusCode::kInvalidArgument);
}

TEST(NetnsTest, RefusesPathsThatAreNoNetworkNamespace) {
  const struct {
    const char* path;
    StatusCode code;
  } kCases[] = {
      {"", StatusCode::kInvalidArgument},
      {"run/netns/x", StatusCode::kInvalidArgument},
      {"/run/netns/sallyport-no-such", StatusCode::kNotFound},
      {"/dev/null", StatusCode::kInvalidArgument},
      {"/proc/self/ns/mnt", StatusCode::kInvalidArgument},
      {"/", StatusCode::kInvalidArgument},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(NetworkNamespace::OfPath(c.path).status().code(), c.code) << c.path;
  }
}

TEST(NetnsTest, RunIsInsideAndTheCallerIsNot) {
  const NamespaceId own = NetworkNamespace::Own()->id();
  TestNetwork network;
  NamespaceId inside;
  network.Run([&] { inside = NetworkNamespace::OfPath("/proc/thread-self/ns/net")->id(); });
  EXPECT_EQ(inside, network.Open().id());
  EXPECT_EQ(NetworkNamespace::OfPath("/proc/thread-self/ns/net")->id(), own);
}

TEST(NetnsTest, RunReturnsWhatTheWorkReturned) {
  TestNetwork network;
  EXPECT_EQ(network.Open().Run([] { return absl::DataLossError("x"); }), absl::DataLossError("x"));
}

TEST(NetnsTest, OnlyLoopbackPasses) {
  TestNetwork network;
  EXPECT_TRUE(network.Open().Run(CheckOnlyLoopback).ok());
}

TEST(NetnsTest, AnotherInterfaceIsNamed) {
  TestNetwork network;
  network.Run([] { ASSERT_EQ(std::system("ip link add wire0 type veth peer name wire1"), 0); });
  const absl::Status status = network.Open().Run(CheckOnlyLoopback);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(status.message()).find("wire"), std::string::npos) << status;
}

TEST(NetnsTest, AWireThatIsCalledLoDoesNotPass) {
  TestNetwork network;
  network.Run([] {
    ASSERT_EQ(std::system("ip link set lo name gone && ip link add lo type veth peer name wire1 && "
                          "ip link del wire1 && ip link add lo type veth peer name peer0"),
              0);
  });
  EXPECT_EQ(network.Open().Run(CheckOnlyLoopback).code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sallyport::agent
