#include "common/net/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "absl/hash/hash_testing.h"

namespace sallyport {
namespace {

IpAddress Address(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.value_or(IpAddress());
}

Cidr Network(std::string_view text) {
  const auto cidr = Cidr::Parse(text);
  EXPECT_TRUE(cidr.ok()) << cidr.status();
  return cidr.value_or(Cidr());
}

TEST(IpAddressTest, TextRoundTrips) {
  struct {
    const char* text;
    const char* canonical;
    const char* uri;
  } cases[] = {
      {"203.0.113.7", "203.0.113.7", "203.0.113.7"},
      {"0.0.0.0", "0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255", "255.255.255.255"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", "[2001:db8::1]"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1", "[2001:0:0:1::1]"},
      {"::", "::", "[::]"},
      {"::1", "::1", "[::1]"},
      {"::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"},
      {"::ffff:cb00:7107", "203.0.113.7", "203.0.113.7"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Address(c.text).ToString(), c.canonical) << c.text;
    EXPECT_EQ(Address(c.text).ToUriString(), c.uri) << c.text;
    EXPECT_EQ(Address(Address(c.text).ToString()), Address(c.text));
  }
}

TEST(IpAddressTest, RefusesEveryOtherNotation) {
  for (const std::string_view text :
       {"",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.04",
        "256.1.1.1",
        "1.2.3.+4",
        "1..2.3",
        "1.2.3.4 ",
        " 1.2.3.4",
        "0x7f.0.0.1",
        "2130706433",
        "127.1",
        "[::1]",
        "fe80::1%eth0",
        ":",
        ":::",
        "1::2::3",
        "12345::",
        "::ffff:1.2.3.04",
        "::ffff:1.2.3",
        "1.2.3.4/32",
        "g::",
        "1.2.3.",
        "1.2.3.4444444444444444444444444444444444444444444444444444444444444444444444",
        "0000:0000:0000:0000:0000:0000:0000:00000000000000000000000000000001"}) {
    EXPECT_FALSE(IpAddress::Parse(text).ok()) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("::1\0", 4)).ok());
  EXPECT_FALSE(IpAddress::Parse(std::string_view("1.2.3.4\0", 8)).ok());
}

TEST(IpAddressTest, MappedV6IsV4) {
  EXPECT_TRUE(Address("::ffff:10.0.0.1").is_v4());
  EXPECT_EQ(Address("::ffff:10.0.0.1"), IpAddress::FromV4(0x0a000001));
  EXPECT_EQ(Address("10.0.0.1").v4(), 0x0a000001u);
  EXPECT_FALSE(Address("::10.0.0.1").is_v4());
}

TEST(IpAddressTest, SocketAddressesRoundTrip) {
  for (const char* text : {"203.0.113.7", "2001:db8::7"}) {
    sockaddr_storage storage;
    const socklen_t length = Address(text).ToSockaddr(8443, &storage);
    EXPECT_EQ(length, storage.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    EXPECT_EQ(ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port), 8443);
    EXPECT_EQ(IpAddress::FromSockaddr(reinterpret_cast<sockaddr*>(&storage)), Address(text));
  }
}

TEST(IpAddressTest, HashAgreesWithEquality) {
  EXPECT_TRUE(absl::VerifyTypeImplementsAbslHashCorrectly(
      {Address("0.0.0.0"), Address("::"), Address("1.2.3.4"), Address("::ffff:1.2.3.4"),
       Address("102:304::")}));
}

TEST(CidrTest, ContainsExactlyItsAddresses) {
  struct {
    const char* network;
    const char* address;
    bool contains;
  } cases[] = {
      {"141.101.64.0/18", "141.101.64.0", true},
      {"141.101.64.0/18", "141.101.127.255", true},
      {"141.101.64.0/18", "141.101.128.0", false},
      {"141.101.64.0/18", "141.101.63.255", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::", false},
      {"::/0", "2001:db8::", true},
      {"::/0", "10.0.0.1", false},
      {"203.0.113.7/32", "203.0.113.7", true},
      {"203.0.113.7/32", "203.0.113.6", false},
      {"203.0.113.7", "203.0.113.7", true},
      {"2001:db8::/33", "2001:db8:7fff::", true},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"[2001:db8::]/32", "2001:db8:ffff::1", true},
      {"2001:db8::1/128", "2001:db8::1", true},
      {"2001:db8::1/128", "2001:db8::", false},
      {"::ffff:10.0.0.0/104", "10.255.0.1", true},
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Network(c.network).Contains(Address(c.address)), c.contains)
        << c.network << " " << c.address;
  }
}

TEST(CidrTest, TextRoundTrips) {
  EXPECT_EQ(Network("[2001:DB8::]/32").ToString(), "2001:db8::/32");
  EXPECT_EQ(Network("::ffff:10.0.0.0/104").ToString(), "10.0.0.0/8");
  EXPECT_EQ(Network("10.0.0.0/8"), Network("::ffff:10.0.0.0/104"));
  EXPECT_TRUE(Network("10.0.0.1/32").is_single_address());
  EXPECT_FALSE(Network("10.0.0.0/31").is_single_address());
  EXPECT_FALSE(Network("2001:db8::/32").is_single_address());
}

TEST(CidrTest, MessagesSayWhatToWrite) {
  struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"10.0.0.1/8", "10.0.0.0/8"},
      {"2001:db8::1/32", "2001:db8::/32"},
      {"10.0.0.0/33", "from 0 to 32"},
      {"2001:db8::/129", "from 0 to 128"},
      {"1.2.3.4/08", "leading zeros"},
      {"1.2.3.0/", "from 0 to 32"},
      {"1.2.3.0/+8", "from 0 to 32"},
      {"1.2.3.0/ 8", "from 0 to 32"},
      {"1.2.3.0/8/8", "from 0 to 32"},
      {"1.2.3/24", "four decimal numbers"},
      {"01.2.3.0/24", "leading zeros"},
      {"[10.0.0.0]/8", "not an IP address"},
      {"[2001:db8::/32", "not an IP address"},
      {"::ffff:10.0.0.0/90", "dotted decimal"},
  };
  for (const auto& c : cases) {
    const auto cidr = Cidr::Parse(c.text);
    ASSERT_FALSE(cidr.ok()) << c.text;
    EXPECT_EQ(cidr.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(std::string(cidr.status().message()).find(c.message) != std::string::npos)
        << c.text << ": " << cidr.status();
  }
}

}  // namespace
}  // namespace sallyport
