#include "agent/proxy/http/h2_request.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace sallyport::proxy {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields kGet = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/a?b"}, {":authority", "good.test"}};

// kGet with one field changed or, if it has none of that name, one more.
Fields With(const std::string& name, const std::string& value, Fields fields = kGet) {
  for (auto& [known, old] : fields) {
    if (known != name) continue;
    old = value;
    return fields;
  }
  fields.emplace_back(name, value);
  return fields;
}

Fields Without(const std::string& name, Fields fields = kGet) {
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  return fields;
}

std::variant<RequestHead, BadMessage> Parse(const Fields& fields, bool ends_stream = true) {
  H2Head head;
  head.ends_stream = ends_stream;
  for (const auto& [name, value] : fields) head.fields.Add(name, value);
  return ParseH2Request(std::move(head));
}

constexpr int kAccepted = 200;

int StatusOf(const Fields& fields, bool ends_stream = true) {
  const auto parsed = Parse(fields, ends_stream);
  const auto* bad = std::get_if<BadMessage>(&parsed);
  return bad != nullptr ? bad->status : kAccepted;
}

RequestHead Accepted(const Fields& fields, bool ends_stream = true) {
  auto parsed = Parse(fields, ends_stream);
  if (const auto* bad = std::get_if<BadMessage>(&parsed)) ADD_FAILURE() << bad->detail;
  auto* head = std::get_if<RequestHead>(&parsed);
  return head != nullptr ? std::move(*head) : RequestHead{};
}

TEST(H2RequestTest, GivesTheModelOfARequest) {
  const RequestHead head = Accepted(With("accept", "*/*"));
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.authority.host.text(), "good.test");
  EXPECT_EQ(head.absolute_scheme, "http");
  EXPECT_EQ(head.framing, BodyFraming::kNone);
  ASSERT_EQ(head.headers.fields().size(), 1u);
  EXPECT_EQ(*head.headers.Find("accept"), "*/*");
}

// 0: reset with PROTOCOL_ERROR (RFC 9113 section 8.1.1).
TEST(H2RequestTest, RefusesWhatIsNoRequest) {
  const std::string long_target = "/" + std::string(8 * 1024, 'a');
  const struct {
    const char* name;
    Fields fields;
    int status;
  } kCases[] = {
      {"plain", kGet, kAccepted},
      {"HC29 :authority and host differ", With("host", "evil.test"), 0},
      {"HC29 ports differ", With("host", "good.test:81"), 0},
      {"HC07 equal but for the default port", With("host", "GOOD.test:80"), kAccepted},
      {"HC30 only host", With("host", "good.test", Without(":authority")), kAccepted},
      {"HC30 neither", Without(":authority"), 0},
      {"HC10 user info", With(":authority", "good.test@evil.test"), 400},
      {"HC10 fragment", With(":authority", "good.test#evil.test"), 400},
      {"HC14 brackets", With(":authority", "[evil.test]"), 400},
      {"HC16 percent", With(":authority", "good%2etest"), 400},
      {"HC19 not ASCII",
       With(":authority",
            "g\xd0\xbe\xd0\xbe"
            "d.test"),
       400},
      {"empty :authority", With(":authority", ""), 400},
      {"HC31 absolute :path", With(":path", "http://evil.test/"), 400},
      {"HC31 // is a path", With(":path", "//evil.test/x"), kAccepted},
      {"HC31 @", With(":path", "@evil.test"), 400},
      {"HC31 *", With(":path", "*"), 400},
      {"* with OPTIONS", With(":path", "*", With(":method", "OPTIONS")), kAccepted},
      {"HC31 empty :path", With(":path", ""), 400},
      {":path with a space", With(":path", "/a b"), 400},
      {":path with a fragment", With(":path", "/a#b"), 400},
      {":path with CRLF", With(":path", "/\r\nx: y"), 400},
      {"long :path", With(":path", long_target), 414},
      {"H218 method", With(":method", "GET / HTTP/1.1\r\nHost: evil"), 400},
      {"H218 space", With(":method", "GE T"), 400},
      {"empty method", With(":method", ""), 400},
      {"TRACE", With(":method", "TRACE"), 405},
      {"TU02 CONNECT", With(":method", "CONNECT", Without(":path", Without(":scheme"))), 405},
      {"H222 another :protocol", With(":protocol", "connect-udp", With(":method", "CONNECT")), 501},
      {"H222 :protocol without CONNECT", With(":protocol", "websocket"), 0},
      {"H219 no :method", Without(":method"), 0},
      {"H219 no :scheme", Without(":scheme"), 0},
      {"H219 no :path", Without(":path"), 0},
      {"H219 unknown pseudo", With(":foo", "bar"), 0},
      {"H216 connection", With("connection", "close"), 0},
      {"H216 keep-alive", With("keep-alive", "1"), 0},
      {"H216 proxy-connection", With("proxy-connection", "close"), 0},
      {"H216 transfer-encoding", With("transfer-encoding", "chunked"), 0},
      {"H216 upgrade", With("upgrade", "websocket"), 0},
      {"H216 te", With("te", "gzip"), 0},
      {"te: trailers", With("te", "trailers"), kAccepted},
      {"H217 upper case", With("X-Foo", "1"), 0},
      {"H217 colon", With("x:y", "1"), 0},
      {"H217 space", With("x y", "1"), 0},
      {"H217 empty name", With("", "1"), 0},
      {"H217 CRLF in a value", With("x", "1\r\ny: 2"), 0},
      {"H217 NUL in a value", With("x", std::string("1\0", 2)), 0},
      {"H217 leading space", With("x", " 1"), 0},
      {"H217 trailing tab", With("x", "1\t"), 0},
      {"H215 content-length without content", With("content-length", "5"), 0},
      {"content-length 0", With("content-length", "0"), kAccepted},
      {"H215 signed content-length", With("content-length", "+5"), 0},
      {"look-alike", With("content_length", "5"), 400},
      {"expect", With("expect", "tea"), 417},
  };
  for (const auto& test : kCases) EXPECT_EQ(StatusOf(test.fields), test.status) << test.name;
}

TEST(H2RequestTest, PseudoFieldsComeFirstAndOnce) {
  Fields twice = kGet;
  twice.emplace_back(":path", "/");
  EXPECT_EQ(StatusOf(twice), 0);
  Fields late = {{":method", "GET"}, {"accept", "*/*"}, {":path", "/"}, {":scheme", "http"}};
  EXPECT_EQ(StatusOf(late), 0);
}

TEST(H2RequestTest, TooLargeIs431) {
  H2Head head;
  head.too_large = true;
  const auto parsed = ParseH2Request(std::move(head));
  EXPECT_EQ(std::get<BadMessage>(parsed).status, 431);
}

TEST(H2RequestTest, TheBodysLengthIsKnownOrNot) {
  const RequestHead open = Accepted(With(":method", "POST"), false);
  EXPECT_EQ(open.framing, BodyFraming::kChunked);
  const RequestHead known = Accepted(With("content-length", "7", With(":method", "POST")), false);
  EXPECT_EQ(known.framing, BodyFraming::kLength);
  EXPECT_EQ(known.content_length, 7u);
}

TEST(H2RequestTest, ExpectCountsIfThereIsABody) {
  EXPECT_TRUE(Accepted(With("expect", "100-continue"), false).expect_continue);
  EXPECT_FALSE(Accepted(With("expect", "100-continue"), true).expect_continue);
}

TEST(H2RequestTest, TeTrailersIsAFlag) {
  const RequestHead head = Accepted(With("te", "trailers"));
  EXPECT_TRUE(head.te_trailers);
  EXPECT_EQ(head.headers.Find("te"), nullptr);
}

// RFC 8441.
TEST(H2RequestTest, AnExtendedConnectAsksForAWebSocket) {
  const Fields fields = With("sec-websocket-version", "13",
                             With(":protocol", "websocket", With(":method", "CONNECT")));
  const RequestHead head = Accepted(fields, false);
  EXPECT_TRUE(head.websocket);
  EXPECT_EQ(head.method, "GET");
  EXPECT_EQ(head.framing, BodyFraming::kNone);
  EXPECT_EQ(head.headers.Find("sec-websocket-key")->size(), 24u);
  EXPECT_EQ(*head.headers.Find("sec-websocket-version"), "13");
  EXPECT_EQ(StatusOf(fields, true), 400);
}

}  // namespace
}  // namespace sallyport::proxy
