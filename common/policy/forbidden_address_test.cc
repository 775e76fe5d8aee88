#include "common/policy/forbidden_address.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

IpAddress At(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  EXPECT_TRUE(address.ok()) << text;
  return address.value_or(IpAddress());
}

TEST(ForbiddenAddressTest, EdgesOfEveryRange) {
  for (const char* text : {"0.0.0.0",
                           "0.255.255.255",
                           "10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.0",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.0.0",
                           "169.254.169.254",
                           "169.254.255.255",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.0.0.0",
                           "192.0.0.255",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.0",
                           "198.19.255.255",
                           "224.0.0.0",
                           "224.0.0.251",
                           "239.255.255.255",
                           "240.0.0.0",
                           "255.255.255.255",
                           "100.100.100.200",
                           "::",
                           "::1",
                           "::10.0.0.1",
                           "::203.0.113.1",
                           "::ffff:10.0.0.1",
                           "::ffff:a9fe:a9fe",
                           "64:ff9b::10.0.0.1",
                           "64:ff9b::7f00:1",
                           "64:ff9b:1::203.0.113.1",
                           "64:ff9b:1:ffff::1",
                           "2002:a00:1::1",
                           "2002:7f00:1::",
                           "2002:a9fe:a9fe::1",
                           "2001:0:a00:1::",
                           "2001::f5ff:fffe",  // Teredo: server 10.0.0.1; client 10.0.0.1 inverted.
                           "2001:db8::5efe:a00:1",
                           "2001:db8::200:5efe:a00:1",  // ISATAP.
                           "fc00::1",
                           "fd00:ec2::254",
                           "fdff::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "feff::1",
                           "ff02::1",
                           "ff00::"}) {
    EXPECT_TRUE(IsForbiddenAddress(At(text), {})) << text;
  }
  for (const char* text : {"1.0.0.0",
                           "9.255.255.255",
                           "11.0.0.0",
                           "100.63.255.254",
                           "100.63.255.255",
                           "100.128.0.1",
                           "126.255.255.255",
                           "128.0.0.0",
                           "169.253.255.255",
                           "169.255.0.0",
                           "172.15.255.255",
                           "172.32.0.0",
                           "191.255.255.255",
                           "192.0.1.0",
                           "192.0.2.1",
                           "192.167.255.255",
                           "192.169.0.0",
                           "198.17.255.255",
                           "198.20.0.0",
                           "198.51.100.1",
                           "203.0.113.1",
                           "223.255.255.255",
                           "::1:0:0:0",
                           "64:ff9b::203.0.113.1",
                           "64:ff9b:2::10.0.0.1",
                           "64:ff9b:0:1::a00:1",
                           "2002:cb00:7101::1",
                           "2001:0:cb00:7101:0:0:34ff:8efe",
                           "2001:db8::5efe:cb00:7101",
                           "2001:db8::1",
                           "2001:db8::a00:1",
                           "2001:1::a00:1",
                           "2003::1",
                           "fbff::1",
                           "fe00::1",
                           "2606:4700::1111"}) {
    EXPECT_FALSE(IsForbiddenAddress(At(text), {})) << text;
  }
}

TEST(ForbiddenAddressTest, OpenRangesOpenWhatTheyContainEmbeddedToo) {
  const OpenRanges open = {*Cidr::Parse("10.1.0.0/16"), *Cidr::Parse("fd00::/8")};
  EXPECT_FALSE(IsForbiddenAddress(At("10.1.2.3"), open));
  EXPECT_TRUE(IsForbiddenAddress(At("10.2.2.3"), open));
  EXPECT_FALSE(IsForbiddenAddress(At("fd00::1"), open));
  EXPECT_TRUE(IsForbiddenAddress(At("fc00::1"), open));
  EXPECT_FALSE(IsForbiddenAddress(At("64:ff9b::10.1.2.3"), open));
  EXPECT_TRUE(IsForbiddenAddress(At("64:ff9b::10.2.2.3"), open));
  EXPECT_FALSE(IsForbiddenAddress(At("127.0.0.1"), {*Cidr::Parse("0.0.0.0/0")}));
}

TEST(PrivateAddressTest, IsWhatAnAllowListMayOpen) {
  for (const char* text : {"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"}) {
    EXPECT_TRUE(IsPrivateAddress(At(text))) << text;
  }
  for (const char* text : {"127.0.0.1", "169.254.169.254", "198.18.0.1", "fe80::1", "fec0::1",
                           "2002:a00:1::1", "203.0.113.1"}) {
    EXPECT_FALSE(IsPrivateAddress(At(text))) << text;
  }
}

}  // namespace
}  // namespace sallyport
