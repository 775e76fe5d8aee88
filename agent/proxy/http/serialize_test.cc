#include "agent/proxy/http/serialize.h"

#include <gtest/gtest.h>

#include "agent/proxy/http/h1_parse.h"

namespace sallyport::proxy {
namespace {

Headers Of(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

RequestHead Request(std::string_view method, std::string_view target) {
  RequestHead head;
  head.method = method;
  head.target = target;
  return head;
}

TEST(SerializeTest, RequestBeginsWithHost) {
  EXPECT_EQ(SerializeRequestHead(Request("GET", "/a"), "good.test:81", Of({{"x", "y"}}),
                                 BodyFraming::kNone, 0),
            "GET /a HTTP/1.1\r\nHost: good.test:81\r\nx: y\r\n\r\n");
}

TEST(SerializeTest, RequestInAbsoluteForm) {
  RequestHead head = Request("GET", "/a?b");
  head.absolute_scheme = "https";
  EXPECT_EQ(SerializeRequestHead(head, "good.test", Headers(), BodyFraming::kNone, 0),
            "GET https://good.test/a?b HTTP/1.1\r\nHost: good.test\r\n\r\n");
  head = Request("OPTIONS", "*");
  head.absolute_scheme = "http";
  EXPECT_EQ(SerializeRequestHead(head, "good.test:81", Headers(), BodyFraming::kNone, 0),
            "OPTIONS http://good.test:81 HTTP/1.1\r\nHost: good.test:81\r\n\r\n");
}

TEST(SerializeTest, RequestWithoutBodySaysSoWhereOneIsUsual) {
  EXPECT_EQ(SerializeRequestHead(Request("POST", "/"), "a", Headers(), BodyFraming::kNone, 0),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
}

TEST(SerializeTest, ResponseSaysHowItsBodyEnds) {
  EXPECT_EQ(SerializeResponseHead(200, "", Headers(), BodyFraming::kLength, 12, true),
            "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
  EXPECT_EQ(
      SerializeResponseHead(520, "", Headers(), BodyFraming::kChunked, 0, false),
      "HTTP/1.1 520 Origin Disallowed\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(SerializeResponseHead(299, "", Headers(), BodyFraming::kNone, 0, true),
            "HTTP/1.1 299 \r\n\r\n");
}

TEST(SerializeTest, FieldsThatDecideFramingAreNotTakenFromHeaders) {
  const Headers headers = Of({{"content-length", "1"},
                              {"Transfer-Encoding", "chunked"},
                              {"connection", "close"},
                              {"Upgrade", "foo"},
                              {"HOST", "evil.test"},
                              {"ok", "1"}});
  EXPECT_EQ(SerializeRequestHead(Request("GET", "/"), "a", headers, BodyFraming::kNone, 0),
            "GET / HTTP/1.1\r\nHost: a\r\nok: 1\r\n\r\n");
  EXPECT_EQ(SerializeResponseHead(200, "", headers, BodyFraming::kNone, 0, true),
            "HTTP/1.1 200 OK\r\nHOST: evil.test\r\nok: 1\r\n\r\n");
}

TEST(SerializeTest, NothingBreaksOutOfItsLine) {
  const Headers headers = Of({{"a", "1\r\nevil: 1"}, {"b\r\nevil", "1"}, {"c", "2"}});
  EXPECT_EQ(SerializeResponseHead(200, "O\r\nevil: 1", headers, BodyFraming::kNone, 0, true),
            "HTTP/1.1 200 OK\r\nc: 2\r\n\r\n");
}

TEST(SerializeTest, AWebSocketIsAskedForAndAgreedToByTheArgumentsAlone) {
  const Headers headers = Of({{"Upgrade", "foo"}, {"Connection", "close"}, {"a", "1"}});
  RequestHead request = Request("GET", "/");
  request.websocket = true;
  const std::string asked = SerializeRequestHead(request, "a", headers, BodyFraming::kNone, 0);
  EXPECT_EQ(
      asked,
      "GET / HTTP/1.1\r\nHost: a\r\na: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  const auto read = ParseRequestHead(asked, H1Limits{});
  EXPECT_TRUE(std::get<ParsedHead<RequestHead>>(read).head.websocket);
  std::string agreed;
  AppendSwitchToWebSocket("O\r\nK", headers, &agreed);
  EXPECT_EQ(agreed,
            "HTTP/1.1 101 Switching Protocols\r\na: 1\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\n\r\n");
  const auto answer = ParseResponseHead(agreed, "GET", H1Limits{});
  EXPECT_TRUE(std::get<ParsedHead<ResponseHead>>(answer).head.websocket);
}

TEST(SerializeTest, H115ForbiddenTrailersAreLeftOut) {
  std::string text;
  AppendTrailers(
      Of({{"Host", "a"}, {"authorization", "b"}, {"Content-Length", "1"}, {"x-sum", "5"}}), &text);
  EXPECT_EQ(text, "x-sum: 5\r\n\r\n");
}

TEST(SerializeTest, WhatIsWrittenIsReadAgain) {
  const Headers headers =
      Of({{"Accept", "*/*"}, {"X-High", "\xff"}, {"x-empty", ""}, {"x-empty", ""}});
  for (const BodyFraming framing :
       {BodyFraming::kNone, BodyFraming::kLength, BodyFraming::kChunked}) {
    const std::string text =
        SerializeRequestHead(Request("PUT", "/a?b"), "good.test:81", headers, framing, 7);
    const auto parsed = ParseRequestHead(text, H1Limits{});
    const auto* request = std::get_if<ParsedHead<RequestHead>>(&parsed);
    ASSERT_NE(request, nullptr);
    EXPECT_EQ(request->consumed, text.size());
    EXPECT_EQ(request->head.method, "PUT");
    EXPECT_EQ(request->head.target, "/a?b");
    EXPECT_EQ(request->head.authority.ToString(80), "good.test:81");
    EXPECT_EQ(request->head.framing,
              framing == BodyFraming::kNone ? BodyFraming::kLength : framing);
    EXPECT_EQ(*request->head.headers.Find("x-high"), "\xff");
    EXPECT_EQ(request->head.headers.Count("x-empty"), 2u);
  }
  for (const BodyFraming framing :
       {BodyFraming::kLength, BodyFraming::kChunked, BodyFraming::kUntilClose}) {
    const std::string text = SerializeResponseHead(203, "Yes", headers, framing, 7, false);
    const auto parsed = ParseResponseHead(text, "GET", H1Limits{});
    const auto* response = std::get_if<ParsedHead<ResponseHead>>(&parsed);
    ASSERT_NE(response, nullptr);
    EXPECT_EQ(response->consumed, text.size());
    EXPECT_EQ(response->head.status, 203);
    EXPECT_EQ(response->head.reason, "Yes");
    EXPECT_EQ(response->head.framing, framing);
    EXPECT_FALSE(response->head.keep_alive);
    EXPECT_EQ(response->head.headers.Count("x-empty"), 2u);
  }
}

}  // namespace
}  // namespace sallyport::proxy
