#include "agent/proxy/http/websocket_key.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

// RFC 6455 section 1.3.
TEST(WebSocketKeyTest, AcceptsTheRfcsExample) {
  EXPECT_EQ(WebSocketAccept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocketKeyTest, KeysAreSixteenRandomBytes) {
  const std::string key = MakeWebSocketKey();
  EXPECT_EQ(key.size(), 24u);
  EXPECT_TRUE(key.ends_with("=="));
  EXPECT_NE(key, MakeWebSocketKey());
}

}  // namespace
}  // namespace sallyport::proxy
