#include "agent/attach/explicit_proxy.h"

#include <gtest/gtest.h>

namespace sallyport::agent {
namespace {

TEST(ExplicitProxyTest, ListensWhereItIsTold) {
  const absl::StatusOr<UniqueFd> any = OpenProxyListener(kDefaultProxyAddress);
  ASSERT_TRUE(any.ok()) << any.status();
  const std::string address = ProxyAddress(*any);
  EXPECT_TRUE(address.starts_with("127.0.0.1:")) << address;
  EXPECT_NE(address, kDefaultProxyAddress);

  const absl::StatusOr<UniqueFd> v6 = OpenProxyListener("[::1]:0");
  ASSERT_TRUE(v6.ok()) << v6.status();
  EXPECT_TRUE(ProxyAddress(*v6).starts_with("[::1]:"));

  EXPECT_EQ(OpenProxyListener(address).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OpenProxyListener("192.0.2.1:0").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(ExplicitProxyTest, RefusesWhatIsNoAddressToConnectTo) {
  for (const char* address :
       {"", "3128", ":3128", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "localhost:3128", "::1:3128", "0.0.0.0:3128", "[::]:3128", "127.1:3128", "127.0.0.1:x"}) {
    EXPECT_EQ(OpenProxyListener(address).status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

TEST(ExplicitProxyTest, TokensAreLongAndDiffer) {
  const std::string token = NewProxyToken();
  EXPECT_EQ(token.size(), 64u);
  EXPECT_EQ(token.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(token, NewProxyToken());
}

TEST(ExplicitProxyTest, UrlsAreParsedAsMeant) {
  EXPECT_EQ(ProxyUrl("web-1", "t", "127.0.0.1:3128"), "http://web-1:t@127.0.0.1:3128");
  EXPECT_EQ(ProxyUrl("a:b", "t", "[::1]:1"), "http://a%3Ab:t@[::1]:1");
}

}  // namespace
}  // namespace sallyport::agent
