#include "agent/proxy/this_host.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "agent/testing/test_network.h"

namespace sallyport::proxy {
namespace {

TEST(ThisHostTest, IP20EveryAddressOfEveryInterface) {
  agent::TestNetwork network;
  network.Run([] {
    ASSERT_EQ(
        std::system("ip link set lo up && ip link add up0 type veth peer name down0 && "
                    "ip link set down0 up && ip link set up0 up && "
                    "ip addr add 203.0.113.5/24 dev up0 && ip addr add 203.0.113.6/24 dev up0 && "
                    "ip addr add 198.51.100.7/32 dev lo && "
                    "ip addr add 2001:db8::5/64 dev up0 nodad && ip route add default dev up0"),
        0);
    for (const char* own :
         {"203.0.113.5", "203.0.113.6", "198.51.100.7", "2001:db8::5", "127.0.0.1", "::1"}) {
      EXPECT_TRUE(IsThisHost(*IpAddress::Parse(own))) << own;
    }
    for (const char* other :
         {"203.0.113.7", "198.51.100.8", "2001:db8::6", "2001:db9::1", "203.0.113.255"}) {
      EXPECT_FALSE(IsThisHost(*IpAddress::Parse(other))) << other;
    }
  });
}

}  // namespace
}  // namespace sallyport::proxy
