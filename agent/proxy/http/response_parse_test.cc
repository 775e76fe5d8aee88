#include <gtest/gtest.h>

#include "agent/proxy/http/feed.h"

namespace sallyport::proxy {
namespace {

using namespace std::string_literals;
using FedResponse = Fed<ResponseHead>;

struct ResponseCase {
  const char* name;
  std::string_view method;
  std::string_view text;
  BodyFraming framing;
  bool keep_alive;
};

constexpr BodyFraming kNone = BodyFraming::kNone;
constexpr BodyFraming kLength = BodyFraming::kLength;
constexpr BodyFraming kChunked = BodyFraming::kChunked;
constexpr BodyFraming kUntilClose = BodyFraming::kUntilClose;

const ResponseCase kResponseCases[] = {
    {"Length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", kLength, true},
    {"LengthZero", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", kLength, true},
    {"Chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", kChunked, true},
    {"UntilClose", "GET", "HTTP/1.1 200 OK\r\n\r\n", kUntilClose, false},
    {"Close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n", kLength,
     false},
    {"ConnectionNoToken", "GET", "HTTP/1.1 200 OK\r\nConnection: a b\r\nContent-Length: 3\r\n\r\n",
     kLength, false},
    {"Http10", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", kLength, false},
    {"Http10KeepAlive", "GET",
     "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n", kLength, true},
    {"Http10UntilClose", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", kUntilClose,
     false},
    {"H133Head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", kNone, true},
    {"H133HeadChunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", kNone,
     true},
    {"H133HeadNothing", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", kNone, true},
    {"H133NotModified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", kNone,
     true},
    {"NoContent", "GET", "HTTP/1.1 204 No Content\r\n\r\n", kNone, true},
    {"NoContentZero", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", kNone, true},
    {"NoContentWithLength", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", kNone,
     false},
    {"Interim", "GET", "HTTP/1.1 100 Continue\r\n\r\n", kNone, true},
    {"Early", "POST", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", kNone, true},
    {"TU05UpgradeOn200", "GET", "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
     kLength, true},
};

class ResponseFramingTest : public testing::TestWithParam<ResponseCase> {};
INSTANTIATE_TEST_SUITE_P(, ResponseFramingTest, testing::ValuesIn(kResponseCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(ResponseFramingTest, IsRead) {
  const ResponseCase& c = GetParam();
  const FedResponse fed = FeedResponse(std::string(c.text) + "HTTP", c.method);
  ASSERT_EQ(fed.status, FedResponse::kAccepted) << fed.detail;
  EXPECT_EQ(fed.consumed, c.text.size());
  EXPECT_EQ(fed.head.framing, c.framing);
  EXPECT_EQ(fed.head.keep_alive, c.keep_alive);
}

TEST(ResponseParseTest, ReadsAHead) {
  const FedResponse fed =
      FeedResponse("HTTP/1.0 404 Not  here \xff\r\nServer: x\r\nContent-Length: 7\r\n\r\n");
  ASSERT_EQ(fed.status, FedResponse::kAccepted) << fed.detail;
  EXPECT_EQ(fed.head.status, 404);
  EXPECT_EQ(fed.head.reason, "Not  here \xff");
  EXPECT_EQ(fed.head.minor_version, 0);
  EXPECT_EQ(fed.head.content_length, 7u);
  EXPECT_EQ(*fed.head.headers.Find("server"), "x");
}

TEST(ResponseParseTest, AgreesToAWebSocketOnlyIfNothingElseIsSaid) {
  const auto agrees = [](const std::string& line, const std::string& fields) {
    const FedResponse fed = FeedResponse(line + "\r\n" + fields + "\r\n");
    EXPECT_EQ(fed.status, FedResponse::kAccepted) << fed.detail;
    return fed.head.websocket;
  };
  const std::string k101 = "HTTP/1.1 101 Switching Protocols";
  EXPECT_TRUE(agrees(k101, "Upgrade: WebSocket\r\nConnection: upgrade\r\n"));
  EXPECT_TRUE(agrees(k101, "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: websocket\r\n"));
  EXPECT_FALSE(agrees(k101, "Connection: Upgrade\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: websocket\r\nConnection: keep-alive\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: websocket\r\nConnection: Upgrade, close\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: websocket\r\nConnection: Upgrade, a b\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: websocket, foo\r\nConnection: Upgrade\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: foo\r\nConnection: Upgrade\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"));
  EXPECT_FALSE(agrees(k101, "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 9\r\n"));
  EXPECT_FALSE(agrees("HTTP/1.0 101 OK", "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
  EXPECT_FALSE(agrees("HTTP/1.1 200 OK", "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
  EXPECT_FALSE(agrees("HTTP/1.1 102 Processing", "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
}

TEST(ResponseParseTest, ReasonMayBeMissing) {
  for (const std::string text : {"HTTP/1.1 599 \r\n\r\n", "HTTP/1.1 599\r\n\r\n"}) {
    const FedResponse fed = FeedResponse(text);
    ASSERT_EQ(fed.status, FedResponse::kAccepted) << fed.detail;
    EXPECT_EQ(fed.head.reason, "");
  }
}

struct BadCase {
  const char* name;
  std::string text;
};

std::string With(const std::string& lines) { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n"; }
std::string Line(const std::string& line) { return line + "\r\nContent-Length: 0\r\n\r\n"; }

const BadCase kBadCases[] = {
    {"H132_TwoLengths", With("Content-Length: 1\r\nContent-Length: 2\r\n")},
    {"H132_SameLengthTwice", With("Content-Length: 1\r\nContent-Length: 1\r\n")},
    {"H132_LengthAndCoding", With("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")},
    {"H132_CodingOn204", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"H132_CodingOn1xx", "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"H132_CodingInHttp10", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"H132_OtherCoding", With("Transfer-Encoding: gzip, chunked\r\n")},
    {"H132_Status099", Line("HTTP/1.1 099 OK")},
    {"H132_Status1000", Line("HTTP/1.1 1000 OK")},
    {"H132_Status600", Line("HTTP/1.1 600 OK")},
    {"H132_StatusLetters", Line("HTTP/1.1 2OO OK")},
    {"H132_StatusShort", Line("HTTP/1.1 20 OK")},
    {"H132_StatusPlus", Line("HTTP/1.1 +20 OK")},
    {"H132_NulInHeader", With("a: \0\r\n"s)},
    {"H132_NulInReason", Line("HTTP/1.1 200 O\0K"s)},
    {"H132_NoStatusLine", "Content-Length: 0\r\n\r\n"},
    {"H132_Http09Body", "<html></html>"},
    {"H132_Http2", Line("HTTP/2.0 200 OK")},
    {"H132_Http2Short", Line("HTTP/2 200")},
    {"H132_TwoSpaces", Line("HTTP/1.1  200 OK")},
    {"H132_LeadingEmptyLine", Line("\r\nHTTP/1.1 200 OK")},
    {"H132_BareLf", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"},
    {"H132_CrInReason", Line("HTTP/1.1 200 O\rK")},
    {"H132_Fold", With("a: b\r\n c\r\n")},
    {"H132_LongLine", Line("HTTP/1.1 200 " + std::string(9000, 'x'))},
    {"H132_LongHead", With("a: " + std::string(64 * 1024, 'x') + "\r\n")},
};

class ResponseAbuseTest : public testing::TestWithParam<BadCase> {};
INSTANTIATE_TEST_SUITE_P(, ResponseAbuseTest, testing::ValuesIn(kBadCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(ResponseAbuseTest, IsRefused) { EXPECT_GT(FeedResponse(GetParam().text).status, 0); }

}  // namespace
}  // namespace sallyport::proxy
