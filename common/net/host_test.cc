#include "common/net/host.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

std::string Parsed(std::string_view text) {
  const auto host = Host::Parse(text);
  return host.ok() ? host->text() : "400";
}

std::string Name(int labels, int label_length) {
  std::string name;
  for (int i = 0; i < labels; ++i) {
    if (i > 0) name += '.';
    name += std::string(label_length, 'a');
  }
  return name;
}

TEST(HostTest, AcceptsNamesAndAddressesInOneCanonicalForm) {
  struct {
    std::string text;
    std::string canonical;
  } cases[] = {
      {"example.com", "example.com"},
      {"API.Example.COM", "api.example.com"},
      {"example.com.", "example.com"},
      {"localhost", "localhost"},
      {"_dmarc.example.com", "_dmarc.example.com"},
      {"a-b.example", "a-b.example"},
      {"-a-.example", "-a-.example"},
      {"xn--mnchen-3ya.de", "xn--mnchen-3ya.de"},
      {"1.2.3.4", "1.2.3.4"},
      {"1.2.3.4.example", "1.2.3.4.example"},
      {"1.2.3.4a", "1.2.3.4a"},
      {"[2001:DB8::1]", "2001:db8::1"},
      {"[2001:db8:0:0::1]", "2001:db8::1"},
      {"[::ffff:169.254.169.254]", "169.254.169.254"},
      {"[::ffff:a9fe:a9fe]", "169.254.169.254"},
      {Name(1, 63), Name(1, 63)},
      {Name(4, 62) + ".a", Name(4, 62) + ".a"},
      {Name(127, 1), Name(127, 1)},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Parsed(c.text), c.canonical) << c.text;
    const auto host = Host::Parse(c.text);
    ASSERT_TRUE(host.ok());
    EXPECT_EQ(*Host::Parse(host->ToUriString()), *host);
  }
}

TEST(HostTest, RefusesEverythingElse) {
  const std::string cases[] = {
      "", ".", "..", "bad.com..", ".example.com", "a..test", "%62ad.com", "good%2etest",
      "user@good.test", "good.test#@evil.test", "good.test\\evil.test", "good.test/evil",
      "http://good.test", "good test", " good.test", "good.test ", "good.test\t", "good.test\x0b",
      "\xa0good.test", "\x85", "\xffgood.test", "g\u043e\u043ed.test", "\uff47ood.test",
      "good\u3002test", "a*b", "*", "a,b", "a!b", "a:b",
      // Numeric forms.
      "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.01", "1.2.3.4.5",
      "256.1.1.1", "1.2.3", "0xA9FEA9FE", "2852039166", "a.1", "a.0x", "a.0X1f", "1.2.3.4..",
      // Brackets.
      "[", "]", "[]", "[evil.test]", "[1.2.3.4]", "[::1", "::1", "[[::1]]", "[::1]]",
      "[fe80::1%eth0]", "[fe80::1%25eth0]", "[v1.fe80]", "[::1].", "x[::1]", "[::1 ]", Name(1, 64),
      Name(4, 62) + ".aa", Name(128, 1)};
  for (const std::string& text : cases) EXPECT_EQ(Parsed(text), "400") << text;
  EXPECT_EQ(Parsed(std::string_view("good.test\0.evil.test", 20)), "400");
  EXPECT_EQ(Parsed(std::string_view("\0", 1)), "400");
}

TEST(HostTest, EveryByteButTheLegalOnesIsRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    EXPECT_EQ(Host::Parse(std::string("a") + c + "b.test").ok(), legal) << byte;
  }
}

TEST(HostTest, AddressesKnowThatTheyAre) {
  EXPECT_TRUE(Host::Parse("203.0.113.7")->is_address());
  EXPECT_EQ(Host::Parse("[2001:db8::1]")->ToUriString(), "[2001:db8::1]");
  EXPECT_FALSE(Host::Parse("example.com")->is_address());
  EXPECT_EQ(Host::FromAddress(*IpAddress::Parse("2001:db8::1")), *Host::Parse("[2001:db8::1]"));
}

TEST(AuthorityTest, Ports) {
  struct {
    const char* text;
    const char* expected;  // With default port 80; null: illegal.
  } cases[] = {
      {"good.test", "good.test"},
      {"good.test:", "good.test"},
      {"good.test:80", "good.test"},
      {"good.test:8080", "good.test:8080"},
      {"GOOD.test.:443", "good.test:443"},
      {"good.test:1", "good.test:1"},
      {"good.test:65535", "good.test:65535"},
      {"[2001:db8::1]:443", "[2001:db8::1]:443"},
      {"[2001:db8::1]", "[2001:db8::1]"},
      {"[2001:db8::1]:", "[2001:db8::1]"},
      {"203.0.113.7:8080", "203.0.113.7:8080"},
      {"good.test:0", nullptr},
      {"good.test:65536", nullptr},
      {"good.test:4294967376", nullptr},
      {"good.test:-1", nullptr},
      {"good.test:+80", nullptr},
      {"good.test:007", nullptr},
      {"good.test:80:80", nullptr},
      {"good.test:8 0", nullptr},
      {"good.test: 80", nullptr},
      {"good.test:https", nullptr},
      {"good.test:80/", nullptr},
      {":80", nullptr},
      {"", nullptr},
      {":", nullptr},
      {"::1", nullptr},
      {"::1:80", nullptr},
      {"[::1]:443]", nullptr},
      {"[::1]443", nullptr},
      {"[::1]:443:1", nullptr},
      {"user@good.test:80", nullptr},
      {"good.test@evil.test", nullptr},
  };
  for (const auto& c : cases) {
    const auto authority = Authority::Parse(c.text);
    ASSERT_EQ(authority.ok(), c.expected != nullptr) << c.text;
    if (authority.ok()) EXPECT_EQ(authority->ToString(80), c.expected) << c.text;
  }
}

TEST(AuthorityTest, AnEmptyPortIsAbsent) {
  EXPECT_EQ(Authority::Parse("good.test:")->port, std::nullopt);
  EXPECT_EQ(Authority::Parse("good.test:80")->port, 80);
}

}  // namespace
}  // namespace sallyport
