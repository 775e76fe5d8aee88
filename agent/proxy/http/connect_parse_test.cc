// CONNECT as a proxy is asked it: what is accepted, how it is read, and what is refused.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/proxy/http/feed.h"
#include "agent/proxy/http/h2_request.h"

namespace sallyport::proxy {
namespace {

using FedRequest = Fed<RequestHead>;

FedRequest FeedConnect(std::string_view text) {
  return FeedRequest(text, H1Limits{.connect = true});
}

TEST(ConnectParseTest, Http1Accepts) {
  struct Case {
    std::string text;
    std::string authority;
  };
  for (const Case& c : std::vector<Case>{
           {"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n", "good.test:443"},
           {"CONNECT GOOD.test.:22 HTTP/1.1\r\nHost: good.test\r\n\r\n", "good.test:22"},
           {"CONNECT 203.0.113.10:443 HTTP/1.1\r\nHost: 203.0.113.10:443\r\n\r\n",
            "203.0.113.10:443"},
           {"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n",
            "[2001:db8::1]:443"},
           {"CONNECT good.test:443 HTTP/1.0\r\n\r\n", "good.test:443"},
           {"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test\r\nContent-Length: 0\r\n\r\n",
            "good.test:443"},
       }) {
    const FedRequest fed = FeedConnect(c.text + "\x16\x03\x01");
    ASSERT_EQ(fed.status, FedRequest::kAccepted) << c.text << fed.detail;
    EXPECT_EQ(fed.consumed, c.text.size());
    EXPECT_TRUE(IsConnect(fed.head));
    EXPECT_EQ(fed.head.target, "");
    EXPECT_EQ(fed.head.authority.ToString(1), c.authority);
    EXPECT_EQ(fed.head.framing, BodyFraming::kNone);
  }
}

TEST(ConnectParseTest, Http1Refuses) {
  const auto with = [](std::string_view target, std::string_view lines) {
    return "CONNECT " + std::string(target) + " HTTP/1.1\r\n" + std::string(lines) + "\r\n";
  };
  const std::string_view host = "Host: good.test:443\r\n";
  const std::string and_host(host);
  for (const auto& [text, status] : std::vector<std::pair<std::string, int>>{
           {with("good.test", host), 400},
           {with("good.test:", host), 400},
           {with("good.test:0", "Host: good.test\r\n"), 400},
           {with("good.test:65536", "Host: good.test\r\n"), 400},
           {with("good.test:+443", host), 400},
           {with("http://good.test:443/", host), 400},
           {with("/", host), 400},
           {with("*", host), 400},
           {with("user@good.test:443", host), 400},
           {with("good.test:443/x", host), 400},
           {with("2130706433:443", "Host: 2130706433:443\r\n"), 400},
           {with("127.1:443", "Host: 127.1:443\r\n"), 400},
           {with("2001:db8::1:443", "Host: x\r\n"), 400},
           {with("good.test:443", ""), 400},
           {with("good.test:443", "Host: evil.test:443\r\n"), 400},
           {with("good.test:443", "Host: good.test:80\r\n"), 400},
           {with("good.test:443", and_host + and_host), 400},
           {with("good.test:443", and_host + "Content-Length: 1\r\n"), 400},
           {with("good.test:443", and_host + "Transfer-Encoding: chunked\r\n"), 400},
           {"connect good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n", 405},
           {"CONNECT  HTTP/1.1\r\n\r\n", 400},
       }) {
    EXPECT_EQ(FeedConnect(text).status, status) << text;
  }
  EXPECT_EQ(FeedRequest(with("good.test:443", host)).status, 405) << "no proxy is asked";
}

std::variant<RequestHead, BadMessage> ParseH2(
    const std::vector<std::pair<std::string, std::string>>& fields, bool ends_stream = false) {
  H2Head head;
  head.ends_stream = ends_stream;
  head.fields.Add(":method", "CONNECT");
  for (const auto& [name, value] : fields) head.fields.Add(name, value);
  return ParseH2Request(std::move(head), /*connect_to_proxy=*/true);
}

TEST(ConnectParseTest, Http2Accepts) {
  const auto parsed = ParseH2({{":authority", "good.test:443"}, {"proxy-authorization", "x"}});
  const auto* head = std::get_if<RequestHead>(&parsed);
  ASSERT_NE(head, nullptr);
  EXPECT_TRUE(IsConnect(*head));
  EXPECT_EQ(head->authority.ToString(1), "good.test:443");
  EXPECT_EQ(head->headers.fields().size(), 1u);
}

TEST(ConnectParseTest, Http2Refuses) {
  const auto status = [](const std::variant<RequestHead, BadMessage>& parsed) {
    const auto* bad = std::get_if<BadMessage>(&parsed);
    return bad == nullptr ? 200 : bad->status;
  };
  EXPECT_EQ(status(ParseH2({{":authority", "good.test"}})), 400);
  EXPECT_EQ(status(ParseH2({{":authority", "127.1:443"}})), 400);
  EXPECT_EQ(status(ParseH2({{"host", "good.test:443"}})), 400);
  EXPECT_EQ(status(ParseH2({})), 0);
  EXPECT_EQ(status(ParseH2({{":authority", "good.test:443"}, {"host", "evil.test:443"}})), 0);
  EXPECT_EQ(status(ParseH2({{":authority", "good.test:443"}, {":scheme", "https"}})), 0);
  EXPECT_EQ(status(ParseH2({{":authority", "good.test:443"}, {":path", "/"}})), 0);
  EXPECT_EQ(status(ParseH2({{":authority", "good.test:443"}, {"content-length", "1"}})), 400);
  EXPECT_EQ(status(ParseH2({{":authority", "good.test:443"}}, /*ends_stream=*/true)), 400);
  EXPECT_EQ(status(ParseH2({{":authority", "good.test:443"}, {"transfer-encoding", "chunked"}})),
            0);
}

}  // namespace
}  // namespace sallyport::proxy
