#include "common/policy/warnings.h"

#include <gtest/gtest.h>

#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

std::string Warnings(const std::string& fields) {
  std::string text;
  for (const std::string& w : ClassWarnings(FromText<v1::ContainerClass>("name: 'c' " + fields))) {
    text += w + "\n";
  }
  return text;
}

TEST(ClassWarningsTest, WidePatternsThatOpenSomething) {
  EXPECT_EQ(
      Warnings("allowed_hosts { hosts: 'a.com' hosts: '*.a.com' hosts: '*' hosts: '10.0.0.0/8' }"
               " denied_hosts { hosts: 'google.*' hosts: '*evil.com' }"),
      "");
  EXPECT_NE(Warnings("allowed_hosts { hosts: 'a.com' hosts: 'google.*' }")
                .find("allowed_hosts[1]: \"google.*\" crosses the public suffix"),
            std::string::npos);
  EXPECT_NE(Warnings("allowed_hosts { hosts: '*good.com' }").find("write \"*.good.com\""),
            std::string::npos);
  EXPECT_NE(Warnings("allowed_hosts { hosts: '0.0.0.0/0' }").find("every address"),
            std::string::npos);
  EXPECT_NE(Warnings("outbound_by_host { host: 'api.*' handler { handler: 'h' } }")
                .find("outbound_by_host[0].host: \"api.*\""),
            std::string::npos);
  EXPECT_NE(Warnings("allowed_hosts {}").find("allows nothing"), std::string::npos);
}

}  // namespace
}  // namespace sallyport
