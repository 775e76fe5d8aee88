#include "agent/proxy/loop.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

TEST(LoopTest, NB28EightHopsAreTheEnd) {
  Headers headers;
  headers.Add("CDN-Loop", "other; a=b, sallyport-2, sallyport.example");
  for (int hop = 0; hop < kMaxHops; ++hop) {
    EXPECT_FALSE(HasGoneRound(headers)) << hop;
    AddHop(&headers);
  }
  EXPECT_TRUE(HasGoneRound(headers));
}

TEST(LoopTest, NB28HopsInOneLineCountLikeHopsInSeveral) {
  Headers headers;
  headers.Add("cdn-loop", "sallyport, Sallyport,sallyport ,,sallyport,x,sallyport");
  headers.Add("CDN-LOOP", "sallyport,sallyport");
  EXPECT_FALSE(HasGoneRound(headers));
  AddHop(&headers);
  EXPECT_TRUE(HasGoneRound(headers));
}

}  // namespace
}  // namespace sallyport::proxy
