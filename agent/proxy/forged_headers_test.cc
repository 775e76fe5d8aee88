#include "agent/proxy/forged_headers.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

TEST(ForgedHeadersTest, SallyportsOwn) {
  for (const char* name :
       {"sallyport-container", "Sallyport-Reason", "SALLYPORT_CONTAINER", "sallyport-"}) {
    EXPECT_TRUE(IsSallyportHeader(name)) << name;
    EXPECT_TRUE(SaysWhoAsks(name)) << name;
  }
  for (const char* name : {"", "sallyport", "x-sallyport-container", "sallyportcontainer"}) {
    EXPECT_FALSE(IsSallyportHeader(name)) << name;
    EXPECT_FALSE(SaysWhoAsks(name)) << name;
  }
}

TEST(ForgedHeadersTest, ThoseOfOthers) {
  for (const char* name : {"Forwarded", "X-Forwarded-For", "x_forwarded_proto", "X-Real-IP",
                           "X-Container-Id", "x-hostname", "X-TLS-SNI", "CF-Connecting-IP"}) {
    EXPECT_TRUE(SaysWhoAsks(name)) << name;
    EXPECT_FALSE(IsSallyportHeader(name)) << name;
  }
  for (const char* name : {"forwarded-for", "x-forwarded", "x-real-ip-2", "cf", "host", "cookie"}) {
    EXPECT_FALSE(SaysWhoAsks(name)) << name;
  }
}

TEST(ForgedHeadersTest, HS04OneVariableToCgi) {
  for (const char* name : {"x-api-key", "X_API_KEY", "x_api-key"}) {
    EXPECT_TRUE(IsSameVariable(name, "X-Api-Key")) << name;
  }
  for (const char* name : {"", "x-api", "x-api-keys", "xapikey", "x.api.key"}) {
    EXPECT_FALSE(IsSameVariable(name, "x-api-key")) << name;
  }
}

}  // namespace
}  // namespace sallyport::proxy
