#include "common/pki/token_key.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace sallyport::pki {
namespace {

// RFC 8037 appendix A.3.
TEST(KeyIdTest, IsTheThumbprint) {
  std::string public_key;
  ASSERT_TRUE(
      absl::WebSafeBase64Unescape("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", &public_key));
  EXPECT_EQ(KeyIdOf(public_key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

}  // namespace
}  // namespace sallyport::pki
