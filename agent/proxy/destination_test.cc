#include "agent/proxy/destination.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

struct DestinationCase {
  std::string name;
  std::string authority;
  std::string absolute_scheme;
  uint16_t dialled_port;
  std::string tls_name;  // Empty: plain.
  int refused;           // 0: accepted.
};

class DestinationTest : public testing::TestWithParam<DestinationCase> {};

TEST_P(DestinationTest, AgreesWithTheConnection) {
  const DestinationCase& test = GetParam();
  RequestHead head;
  head.authority = *Authority::Parse(test.authority);
  head.absolute_scheme = test.absolute_scheme;
  const Origin origin{*IpAddress::Parse("203.0.113.10"), test.dialled_port};
  std::optional<TlsFacts> tls;
  if (!test.tls_name.empty()) tls = TlsFacts{*Host::Parse(test.tls_name), "TLSv1.3"};

  const auto result = DestinationOf(head, origin, tls.has_value() ? &*tls : nullptr);
  if (test.refused != 0) {
    ASSERT_TRUE(std::holds_alternative<Refusal>(result));
    EXPECT_EQ(std::get<Refusal>(result).status, test.refused);
    return;
  }
  ASSERT_TRUE(std::holds_alternative<Destination>(result));
  EXPECT_EQ(std::get<Destination>(result).host, head.authority.host);
  EXPECT_EQ(std::get<Destination>(result).port, test.dialled_port);
}

INSTANTIATE_TEST_SUITE_P(
    All, DestinationTest,
    testing::Values(
        DestinationCase{"plain", "good.test", "", 80, "", 0},
        DestinationCase{"the_port_dialled", "good.test:80", "", 80, "", 0},
        DestinationCase{"another_port", "good.test:8443", "", 80, "", 400},
        DestinationCase{"plain_on_443", "good.test", "", 443, "", 0},
        DestinationCase{"absolute", "good.test", "http", 80, "", 0},
        DestinationCase{"absolute_https_on_plain", "good.test", "https", 80, "", 400},
        DestinationCase{"tls", "good.test", "", 443, "good.test", 0},
        DestinationCase{"tls_with_port", "good.test:443", "https", 443, "good.test", 0},
        DestinationCase{"tls_absolute_http", "good.test", "http", 443, "good.test", 400},
        DestinationCase{"fronting", "evil.test", "", 443, "good.test", 421},
        DestinationCase{"address_without_sni", "203.0.113.10", "", 443, "203.0.113.10", 0},
        DestinationCase{"name_without_sni", "good.test", "", 443, "203.0.113.10", 421}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sallyport::proxy
