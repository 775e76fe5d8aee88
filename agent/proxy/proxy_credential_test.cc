#include "agent/proxy/proxy_credential.h"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::proxy {
namespace {

using Shown = ProxyCredential::Shown;

Headers With(const std::vector<std::string>& values) {
  Headers headers;
  headers.Add("host", "good.test");
  for (const std::string& value : values) headers.Add("Proxy-Authorization", value);
  return headers;
}

// printf %s web-1:secret | base64
constexpr char kRight[] = "d2ViLTE6c2VjcmV0";

TEST(ProxyCredentialTest, TellsTheRightOneFromOthers) {
  const ProxyCredential credential("web-1", "secret");
  const std::string right = std::string("Basic ") + kRight;
  struct Case {
    std::vector<std::string> values;
    Shown shown;
  };
  for (const Case& c : std::vector<Case>{
           {{}, Shown::kNothing},
           {{right}, Shown::kRight},
           {{std::string("bAsIc  ") + kRight}, Shown::kRight},
           {{right, right}, Shown::kWrong},
           {{""}, Shown::kWrong},
           {{"Basic"}, Shown::kWrong},
           {{"Basic "}, Shown::kWrong},
           {{kRight}, Shown::kWrong},
           {{std::string("Bearer ") + kRight}, Shown::kWrong},
           {{right + "="}, Shown::kWrong},
           {{right + ", " + right}, Shown::kWrong},
           {{right.substr(0, right.size() - 1)}, Shown::kWrong},
           {{"Basic d2ViLTE6c2VjcmV1"}, Shown::kWrong},  // web-1:secreu
           {{"Basic d2ViLTI6c2VjcmV0"}, Shown::kWrong},  // web-2:secret
           {{"Basic d2ViLTE6"}, Shown::kWrong},          // web-1:
       }) {
    EXPECT_EQ(credential.In(With(c.values)), c.shown) << testing::PrintToString(c.values);
  }
}

TEST(ProxyCredentialTest, AnIdMayHaveColons) {
  // a:b:secret
  EXPECT_EQ(ProxyCredential("a:b", "secret").In(With({"Basic YTpiOnNlY3JldA=="})), Shown::kRight);
}

}  // namespace
}  // namespace sallyport::proxy
