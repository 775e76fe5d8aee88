// What is accepted, and how it is read. request_abuse_test.cc has what is not.

#include <gtest/gtest.h>

#include "agent/proxy/http/feed.h"

namespace sallyport::proxy {
namespace {

using FedRequest = Fed<RequestHead>;

// Head of a request with these lines after the request line and Host.
std::string With(std::string_view lines) {
  return "GET / HTTP/1.1\r\nHost: good.test\r\n" + std::string(lines) + "\r\n";
}

TEST(RequestParseTest, ReadsAHead) {
  const std::string text =
      "POST /a/b?c=d HTTP/1.1\r\nHost: Good.Test.:8080\r\nX-Empty:\r\nx-spaces: \t a b \t\r\n"
      "Content-Length: 12\r\n\r\n";
  const FedRequest fed = FeedRequest(text + "GET /next");
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(fed.consumed, text.size());
  EXPECT_EQ(fed.head.method, "POST");
  EXPECT_EQ(fed.head.target, "/a/b?c=d");
  EXPECT_EQ(fed.head.minor_version, 1);
  EXPECT_EQ(fed.head.authority.host.text(), "good.test");
  EXPECT_EQ(fed.head.authority.port, 8080);
  EXPECT_EQ(fed.head.absolute_scheme, "");
  EXPECT_EQ(*fed.head.headers.Find("x-empty"), "");
  EXPECT_EQ(*fed.head.headers.Find("x-spaces"), "a b");
  EXPECT_EQ(fed.head.headers.fields().size(), 4u);
  EXPECT_EQ(fed.head.framing, BodyFraming::kLength);
  EXPECT_EQ(fed.head.content_length, 12u);
  EXPECT_TRUE(fed.head.keep_alive);
  EXPECT_FALSE(fed.head.expect_continue);
}

struct TargetCase {
  const char* name;
  std::string_view start;  // Request line and Host, without version.
  std::string_view host;
  std::string_view target;
  std::string_view absolute_scheme;
  std::string_view authority;  // With port 1 as the default, so that each port shows.
};

const TargetCase kTargetCases[] = {
    {"Origin", "GET /", "good.test", "/", "", "good.test"},
    {"HC32TwoSlashes", "GET //evil.test/x", "good.test", "//evil.test/x", "", "good.test"},
    {"HC41PathIsKept", "GET /a/..;x/%2e%2e//\\b", "good.test", "/a/..;x/%2e%2e//\\b", "",
     "good.test"},
    {"Absolute", "GET http://good.test/a", "good.test", "/a", "http", "good.test"},
    {"HC07DefaultPort", "GET http://good.test/", "good.test:80", "/", "http", "good.test"},
    {"HC07DefaultPortTarget", "GET http://good.test:80/", "good.test", "/", "http", "good.test:80"},
    {"HttpsDefaultPort", "GET https://good.test/", "good.test:443", "/", "https", "good.test"},
    {"EqualOnlyWithoutCase", "GET HTTP://GOOD.test./", "good.TEST", "/", "http", "good.test"},
    {"AbsoluteNoPath", "GET http://good.test", "good.test", "/", "http", "good.test"},
    {"AbsoluteQuery", "GET http://good.test?q=/x", "good.test", "/?q=/x", "http", "good.test"},
    {"AbsolutePort", "GET http://good.test:8080/", "good.test:8080", "/", "http", "good.test:8080"},
    {"Options", "OPTIONS *", "good.test", "*", "", "good.test"},
    {"OptionsAbsolute", "OPTIONS http://good.test:8001", "good.test:8001", "*", "http",
     "good.test:8001"},
    {"OptionsAbsolutePath", "OPTIONS http://good.test/", "good.test", "/", "http", "good.test"},
    {"HC15EmptyPort", "GET /", "good.test:", "/", "", "good.test"},
    {"Ipv4", "GET /", "203.0.113.7:81", "/", "", "203.0.113.7:81"},
    {"Ipv6", "GET /", "[2001:DB8::1]:81", "/", "", "[2001:db8::1]:81"},
};

class TargetTest : public testing::TestWithParam<TargetCase> {};
INSTANTIATE_TEST_SUITE_P(, TargetTest, testing::ValuesIn(kTargetCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(TargetTest, IsReadWithHost) {
  const TargetCase& c = GetParam();
  const FedRequest fed =
      FeedRequest(std::string(c.start) + " HTTP/1.1\r\nhost:" + std::string(c.host) + "\r\n\r\n");
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(fed.head.target, c.target);
  EXPECT_EQ(fed.head.absolute_scheme, c.absolute_scheme);
  EXPECT_EQ(fed.head.authority.ToString(1), c.authority);
}

struct FramingCase {
  const char* name;
  std::string_view lines;
  BodyFraming framing;
  uint64_t content_length;
  bool expect_continue;
};

const FramingCase kFramingCases[] = {
    {"None", "", BodyFraming::kNone, 0, false},
    {"Zero", "Content-Length: 0\r\n", BodyFraming::kLength, 0, false},
    {"Length", "content-length:\t5 \r\n", BodyFraming::kLength, 5, false},
    {"Largest", "Content-Length: 9223372036854775807\r\n", BodyFraming::kLength,
     9223372036854775807u, false},
    {"Chunked", "Transfer-Encoding: Chunked\r\n", BodyFraming::kChunked, 0, false},
    {"H127Expect", "Content-Length: 5\r\nExpect: 100-Continue\r\n", BodyFraming::kLength, 5, true},
    {"ExpectChunked", "Transfer-Encoding: chunked\r\nexpect: 100-continue\r\n",
     BodyFraming::kChunked, 0, true},
    {"ExpectWithoutBody", "Expect: 100-continue\r\n", BodyFraming::kNone, 0, false},
    {"ExpectEmptyBody", "Content-Length: 0\r\nExpect: 100-continue\r\n", BodyFraming::kLength, 0,
     false},
};

class FramingTest : public testing::TestWithParam<FramingCase> {};
INSTANTIATE_TEST_SUITE_P(, FramingTest, testing::ValuesIn(kFramingCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(FramingTest, IsRead) {
  const FramingCase& c = GetParam();
  const FedRequest fed = FeedRequest(With(c.lines));
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(fed.head.framing, c.framing);
  EXPECT_EQ(fed.head.content_length, c.content_length);
  EXPECT_EQ(fed.head.expect_continue, c.expect_continue);
}

TEST(RequestParseTest, KeepAliveDependsOnVersionAndConnection) {
  const auto keeps = [](std::string_view version, std::string_view connection) {
    const FedRequest fed =
        FeedRequest("GET / " + std::string(version) +
                    "\r\nHost: a\r\nConnection: " + std::string(connection) + "\r\n\r\n");
    EXPECT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
    return fed.head.keep_alive;
  };
  EXPECT_TRUE(keeps("HTTP/1.1", "x"));
  EXPECT_FALSE(keeps("HTTP/1.1", "x, Close"));
  EXPECT_FALSE(keeps("HTTP/1.1", "close, keep-alive"));
  EXPECT_FALSE(keeps("HTTP/1.0", "x"));
  EXPECT_TRUE(keeps("HTTP/1.0", "Keep-Alive"));
}

struct UpgradeCase {
  const char* name;
  std::string_view start;
  std::string_view lines;
  bool websocket;
};

constexpr std::string_view kGet = "GET / HTTP/1.1";
const UpgradeCase kUpgradeCases[] = {
    {"WebSocket", kGet, "Upgrade: websocket\r\nConnection: Upgrade\r\n", true},
    {"CaseOfTokens", kGet, "upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n", true},
    {"TwoConnections", kGet, "Connection: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
     true},
    {"NoConnection", kGet, "Upgrade: websocket\r\n", false},
    {"OtherConnection", kGet, "Upgrade: websocket\r\nConnection: keep-alive\r\n", false},
    {"Closing", kGet, "Upgrade: websocket\r\nConnection: Upgrade, close\r\n", false},
    {"NoUpgrade", kGet, "Connection: Upgrade\r\n", false},
    {"H131_H223_h2c", kGet, "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n", false},
    {"TU06Foo", kGet, "Upgrade: foo\r\nConnection: Upgrade\r\n", false},
    {"ListFirst", kGet, "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n", false},
    {"ListLast", kGet, "Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n", false},
    {"Twice", kGet, "Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", false},
    {"TwoTokens", kGet, "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", false},
    {"Version", kGet, "Upgrade: websocket/13\r\nConnection: Upgrade\r\n", false},
    {"Post", "POST / HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", false},
    {"LowerCaseMethod", "get / HTTP/1.1", "Upgrade: websocket\r\nConnection: Upgrade\r\n", false},
    {"Http10", "GET / HTTP/1.0", "Upgrade: websocket\r\nConnection: Upgrade, keep-alive\r\n",
     false},
    {"Body", kGet, "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 1\r\n", false},
    {"EmptyBody", kGet, "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n",
     false},
    {"Chunked", kGet, "Upgrade: websocket\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n",
     false},
};

class UpgradeTest : public testing::TestWithParam<UpgradeCase> {};
INSTANTIATE_TEST_SUITE_P(, UpgradeTest, testing::ValuesIn(kUpgradeCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(UpgradeTest, IsReadAsAskedFor) {
  const UpgradeCase& c = GetParam();
  const FedRequest fed =
      FeedRequest(std::string(c.start) + "\r\nHost: good.test\r\n" + std::string(c.lines) + "\r\n");
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(fed.head.websocket, c.websocket);
}

TEST(RequestParseTest, Http10MayNameItsHostInTheTargetOnly) {
  const FedRequest fed = FeedRequest("GET http://good.test:81/ HTTP/1.0\r\n\r\n");
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(fed.head.minor_version, 0);
  EXPECT_EQ(fed.head.authority.ToString(80), "good.test:81");
}

TEST(RequestParseTest, H125OneEmptyLineBeforeIsTolerated) {
  const FedRequest fed = FeedRequest("\r\n" + With(""));
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(fed.consumed, With("").size() + 2);
}

TEST(RequestParseTest, H121HighBytesInValuesPassUnchanged) {
  const FedRequest fed = FeedRequest(With("X: \x80\xff\xc3\xa9\tz\r\n"));
  ASSERT_EQ(fed.status, FedRequest::kAccepted) << fed.detail;
  EXPECT_EQ(*fed.head.headers.Find("x"), "\x80\xff\xc3\xa9\tz");
}

TEST(RequestParseTest, H123MethodsPassAsTheyAre) {
  for (const std::string method : {"get", "PROPFIND", "M-SEARCH", "!#$%&'*+-.^_`|~"}) {
    const FedRequest fed = FeedRequest(method + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_EQ(fed.status, FedRequest::kAccepted) << method;
    EXPECT_EQ(fed.head.method, method);
  }
}

TEST(RequestParseTest, LimitsAreInclusive) {
  const H1Limits limits{.head_bytes = 100, .request_line_bytes = 40, .header_count = 3};
  const auto line = [](size_t bytes) {
    const std::string_view rest = "GET / HTTP/1.1";
    return "GET /" + std::string(bytes - rest.size(), 'a') + " HTTP/1.1\r\n";
  };
  EXPECT_EQ(FeedRequest(line(40) + "Host: a\r\n\r\n", limits).status, FedRequest::kAccepted);
  EXPECT_EQ(FeedRequest(line(41) + "Host: a\r\n\r\n", limits).status, 414);
  const auto head = [&](size_t bytes) {
    const std::string start = line(40) + "Host: a\r\nx: ";
    return start + std::string(bytes - start.size() - 4, 'y') + "\r\n\r\n";
  };
  EXPECT_EQ(FeedRequest(head(100), limits).status, FedRequest::kAccepted);
  EXPECT_EQ(FeedRequest(head(101), limits).status, 431);
  const std::string start = line(20) + "Host: a\r\nx:\r\nx:\r\n";
  EXPECT_EQ(FeedRequest(start + "\r\n", limits).status, FedRequest::kAccepted);
  EXPECT_EQ(FeedRequest(start + "x:\r\n\r\n", limits).status, 431);
}

TEST(RequestParseTest, IncompleteHeadsNeedMore) {
  const std::string text = With("Content-Length: 5\r\n");
  EXPECT_EQ(FeedRequest(std::string_view(text).substr(0, text.size() - 1)).status,
            FedRequest::kIncomplete);
  EXPECT_EQ(FeedRequest("").status, FedRequest::kIncomplete);
}

}  // namespace
}  // namespace sallyport::proxy
