#include "agent/proxy/http/h2_origin_head.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sallyport::proxy {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Headers Make(const Fields& fields) {
  Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return headers;
}

std::string Text(const Headers& headers) {
  std::string text;
  for (const Header& field : headers.fields()) text += field.name + "=" + field.value + " ";
  return text;
}

RequestHead Get() {
  RequestHead head;
  head.method = "GET";
  head.target = "/p?q";
  return head;
}

TEST(H2OriginHeadTest, RequestsCarryWhatIsForTheOrigin) {
  RequestHead head = Get();
  head.headers = Make({{"X-One", "1"},
                       {"Host", "evil.test"},
                       {"Connection", "x"},
                       {"TE", "gzip"},
                       {"Content-Length", "7"},
                       {"Transfer-Encoding", "chunked"},
                       {"Upgrade", "h2c"},
                       {"HTTP2-Settings", "AAAA"},
                       {"bad name", "1"},
                       {"x-bad", "a\nb"},
                       {"cookie", "a=1"},
                       {"cookie", "b=2"},
                       {"sec-websocket-key", "k"}});
  EXPECT_EQ(Text(RequestFields(head, "good.test:8443", "https")),
            ":method=GET :scheme=https :authority=good.test:8443 :path=/p?q X-One=1 cookie=a=1 "
            "cookie=b=2 sec-websocket-key=k ");
}

TEST(H2OriginHeadTest, RequestsSayTheirLengthAndWhetherTrailersAreRead) {
  RequestHead head = Get();
  head.framing = BodyFraming::kLength;
  head.content_length = 5;
  head.te_trailers = true;
  EXPECT_EQ(Text(RequestFields(head, "a", "http")),
            ":method=GET :scheme=http :authority=a :path=/p?q content-length=5 te=trailers ");
}

TEST(H2OriginHeadTest, AWebSocketIsAnExtendedConnect) {
  RequestHead head = Get();
  head.websocket = true;
  head.headers = Make({{"Sec-WebSocket-Key", "k"}, {"Sec-WebSocket-Version", "13"}});
  EXPECT_EQ(Text(RequestFields(head, "a", "https")),
            ":method=CONNECT :protocol=websocket :scheme=https :authority=a :path=/p?q "
            "Sec-WebSocket-Version=13 ");
}

struct Answer {
  std::string name;
  Fields fields;
  bool ends_stream = false;
  AskedFor asked_for = {};
  BodyFraming framing = BodyFraming::kNone;
  uint64_t length = 0;
  int status = 200;
};

TEST(H2OriginHeadTest, AnswersAreFramed) {
  const Answer cases[] = {
      {"no length", {{":status", "200"}}, false, {}, BodyFraming::kChunked},
      {"length", {{":status", "200"}, {"content-length", "3"}}, false, {}, BodyFraming::kLength, 3},
      {"no body", {{":status", "200"}}, true},
      {"empty", {{":status", "200"}, {"content-length", "0"}}, true},
      {"HEAD", {{":status", "200"}, {"content-length", "9"}}, true, {.head = true}},
      {"HEAD that ends later",
       {{":status", "200"}, {"content-length", "9"}},
       false,
       {.head = true}},
      {"204", {{":status", "204"}}, true, {}, BodyFraming::kNone, 0, 204},
      {"304", {{":status", "304"}, {"content-length", "9"}}, true, {}, BodyFraming::kNone, 0, 304},
      {"103", {{":status", "103"}, {"link", "x"}}, false, {}, BodyFraming::kNone, 0, 103},
      {"WebSocket", {{":status", "200"}}, false, {.websocket = true}, BodyFraming::kNone, 0, 101},
      {"no WebSocket",
       {{":status", "403"}},
       false,
       {.websocket = true},
       BodyFraming::kChunked,
       0,
       403},
  };
  for (const Answer& c : cases) {
    const auto answer = ResponseOf(H2Head{Make(c.fields), c.ends_stream}, c.asked_for);
    ASSERT_TRUE(answer.ok()) << c.name << ": " << answer.status();
    EXPECT_EQ(answer->status, c.status) << c.name;
    EXPECT_EQ(answer->framing, c.framing) << c.name;
    EXPECT_EQ(answer->content_length, c.length) << c.name;
    EXPECT_EQ(answer->websocket, c.status == 101) << c.name;
    EXPECT_EQ(answer->headers.Find(":status"), nullptr) << c.name;
  }
}

TEST(H2OriginHeadTest, IllegalAnswersAreRefused) {
  const Answer cases[] = {
      {"no status", {{"server", "x"}}},
      {"nothing", {}},
      {"field first", {{"server", "x"}, {":status", "200"}}},
      {"two", {{":status", "200"}, {":status", "200"}}},
      {"short", {{":status", "20"}}},
      {"long", {{":status", "2000"}}},
      {"sign", {{":status", "+20"}}},
      {"letters", {{":status", "2x0"}}},
      {"small", {{":status", "099"}}},
      {"large", {{":status", "600"}}},
      {"101", {{":status", "101"}}},
      {"101 for a WebSocket", {{":status", "101"}}, false, {.websocket = true}},
      {"interim that ends", {{":status", "103"}}, true},
      {"WebSocket that ends", {{":status", "200"}}, true, {.websocket = true}},
      {"unknown pseudo", {{":status", "200"}, {":path", "/"}}},
      {"connection", {{":status", "200"}, {"connection", "close"}}},
      {"transfer-encoding", {{":status", "200"}, {"transfer-encoding", "chunked"}}},
      {"upgrade", {{":status", "200"}, {"upgrade", "x"}}},
      {"line end", {{":status", "200"}, {"x", "a\r\nb"}}},
      {"two lengths", {{":status", "200"}, {"content-length", "3"}, {"content-length", "3"}}},
      {"list of lengths", {{":status", "200"}, {"content-length", "3, 3"}}},
      {"length of nothing", {{":status", "200"}, {"content-length", "3"}}, true},
  };
  for (const Answer& c : cases) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        ResponseOf(H2Head{Make(c.fields), c.ends_stream}, c.asked_for).status()))
        << c.name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      ResponseOf(H2Head{Make({{":status", "200"}}), false, true}, {}).status()));
}

}  // namespace
}  // namespace sallyport::proxy
