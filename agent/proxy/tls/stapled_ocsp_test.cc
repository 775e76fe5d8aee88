#include "agent/proxy/tls/stapled_ocsp.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace sallyport::proxy {
namespace {

// Responses that `openssl ocsp` made, of serial numbers 0x1000 (revoked), 0x2000 and 0x3000.
std::string ReadResponse(const std::string& name) {
  std::ifstream file("agent/proxy/tls/testdata/stapled_ocsp/" + name, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string Serial(char high) { return std::string("\x02\x02", 2) + high + '\0'; }

TEST(StapledOcspTest, UT11_FindsTheRevokedOne) {
  EXPECT_TRUE(SaysRevoked(ReadResponse("revoked_1000.der"), Serial(0x10)));
  EXPECT_TRUE(SaysRevoked(ReadResponse("three.der"), Serial(0x10)));
  EXPECT_FALSE(SaysRevoked(ReadResponse("revoked_1000.der"), Serial(0x20)));
  EXPECT_FALSE(SaysRevoked(ReadResponse("three.der"), Serial(0x20)));
  EXPECT_FALSE(SaysRevoked(ReadResponse("three.der"), Serial(0x30)));
  EXPECT_FALSE(SaysRevoked(ReadResponse("good_2000.der"), Serial(0x20)));
  EXPECT_FALSE(SaysRevoked(ReadResponse("unknown_3000.der"), Serial(0x30)));
}

TEST(StapledOcspTest, TakesWhatIsCutOffForNothing) {
  const std::string response = ReadResponse("revoked_1000.der");
  ASSERT_FALSE(response.empty());
  for (size_t size = 0; size < response.size(); ++size) {
    EXPECT_FALSE(SaysRevoked(std::string_view(response).substr(0, size), Serial(0x10))) << size;
  }
}

}  // namespace
}  // namespace sallyport::proxy
