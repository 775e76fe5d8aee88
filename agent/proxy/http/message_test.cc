#include "agent/proxy/http/message.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace sallyport::proxy {
namespace {

Headers Of(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

std::string Text(const Headers& headers) {
  std::string text;
  for (const Header& field : headers.fields()) text += field.name + "=" + field.value + ";";
  return text;
}

TEST(HeadersTest, NamesCompareWithoutCase) {
  Headers headers = Of({{"X-A", "1"}, {"x-b", "2"}, {"x-a", "3"}});
  EXPECT_EQ(*headers.Find("x-A"), "1");
  EXPECT_EQ(headers.Find("x-c"), nullptr);
  EXPECT_EQ(headers.Count("X-a"), 2u);
  headers.Set("X-A", "4");
  EXPECT_EQ(Text(headers), "x-b=2;X-A=4;");
  headers.Remove("X-B");
  EXPECT_EQ(Text(headers), "X-A=4;");
}

TEST(HeadersTest, FindsTokensInLists) {
  const Headers headers = Of({{"Connection", "a, Close"}, {"connection", ", b"}, {"x", "c"}});
  EXPECT_TRUE(headers.HasToken("connection", "close"));
  EXPECT_TRUE(headers.HasToken("connection", "b"));
  EXPECT_FALSE(headers.HasToken("connection", "clos"));
  EXPECT_FALSE(headers.HasToken("connection", "c"));
}

struct HopCase {
  const char* name;
  std::initializer_list<std::pair<std::string_view, std::string_view>> fields;
  std::string_view left;
};

const HopCase kHopCases[] = {
    {"H130Named",
     {{"Connection", "host, content-length, authorization, cookie, x-container-id"},
      {"Host", "a"},
      {"Content-Length", "1"},
      {"Authorization", "t"},
      {"Cookie", "c"},
      {"X-Container-Id", "9"}},
     "Host=a;Content-Length=1;Authorization=t;Cookie=c;"},
    {"H131Always",
     {{"Keep-Alive", "1"},
      {"Proxy-Connection", "x"},
      {"TE", "trailers, x"},
      {"Proxy-Authorization", "p"},
      {"Upgrade", "h2c"},
      {"HTTP2-Settings", "s"},
      {"Trailer", "t"},
      {"Transfer-Encoding", "chunked"},
      {"Accept", "y"}},
     "Accept=y;"},
    {"TU03Upgrade", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"X", "y"}}, "X=y;"},
    {"EmptyElements", {{"connection", ", ,close,"}, {"", "odd"}, {"a", "b"}}, "=odd;a=b;"},
    {"SeveralConnections", {{"connection", "a"}, {"Connection", "B"}, {"A", "1"}, {"b", "2"}}, ""},
    {"Nothing", {{"a", "1"}, {"b", "2"}}, "a=1;b=2;"},
};

class HopByHopTest : public testing::TestWithParam<HopCase> {};
INSTANTIATE_TEST_SUITE_P(, HopByHopTest, testing::ValuesIn(kHopCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(HopByHopTest, LeavesTheRest) {
  Headers headers = Of(GetParam().fields);
  RemoveHopByHop(&headers);
  EXPECT_EQ(Text(headers), GetParam().left);
}

TEST(IsLegalHeaderTest, RefusesWhatEndsALine) {
  EXPECT_TRUE(IsLegalHeader("x-a", ""));
  EXPECT_TRUE(IsLegalHeader("x-a", "b\xffz\t"));
  EXPECT_FALSE(IsLegalHeader("", "b"));
  EXPECT_FALSE(IsLegalHeader("x a", "b"));
  EXPECT_FALSE(IsLegalHeader("x", "a\rb"));
  EXPECT_FALSE(IsLegalHeader("x", "a\nb"));
  EXPECT_FALSE(IsLegalHeader("x", std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace sallyport::proxy
