// What RFC 9113, RFC 7541 and RFC 8441 say of a server, as frames in and frames out. Where they
// leave a choice between an error of the stream and one of the connection, nghttp2's is written
// down.

#include "agent/proxy/http/h2_fixture.h"

namespace sallyport::proxy {
namespace {

using h2::Frame;
using h2::Number;

constexpr uint8_t kEndHeaders = h2::kEndHeaders;

struct Case {
  const char* name;
  std::string bytes;     // Behind the preface.
  std::string expected;  // H2Fixture::Summary.
};

class H2ConformanceTest : public H2Fixture {
 protected:
  void Check(const std::vector<Case>& cases) {
    for (const Case& test : cases) {
      for (const size_t segment : {size_t{1} << 20, size_t{1}}) {
        Begin({}, {}, "");
        end_->set_faults({.max_read = segment, .capacity = 1 << 20});
        const std::string all = h2::Preface() + test.bytes;
        std::string summary = Summary(Give(all));
        // Of the preface's own SETTINGS.
        const std::string ack = "SETTINGS ACK";
        ASSERT_TRUE(summary.starts_with(ack) || summary.starts_with("GOAWAY"))
            << test.name << summary;
        if (summary.starts_with(ack)) summary.erase(0, ack.size());
        if (summary.starts_with(", ")) summary.erase(0, 2);
        EXPECT_EQ(summary, test.expected) << test.name << ", segments of " << segment;
        End();
      }
    }
  }
};

const std::string kOk = "HEADERS 1 200, DATA 1 END";

// Seven such fields fit into SETTINGS_MAX_HEADER_LIST_SIZE, 60 KiB, and eight do not.
constexpr size_t kFieldBytes = 8000;

h2::Fields WithFields(int count, const std::string& value) {
  h2::Fields fields = kGet;
  for (int i = 0; i < count; ++i) fields.emplace_back("x" + std::to_string(i), value);
  return fields;
}

// The header block of a request without body that is too long for one frame.
std::string InFrames(const std::string& block) {
  constexpr size_t kMaxFrameBytes = 16'384;
  std::string frames;
  for (size_t begin = 0; begin < block.size(); begin += kMaxFrameBytes) {
    const bool last = begin + kMaxFrameBytes >= block.size();
    const int flags = (begin == 0 ? h2::kEndStream : 0) | (last ? kEndHeaders : 0);
    frames += Frame(begin == 0 ? h2::kHeaders : h2::kContinuation, static_cast<uint8_t>(flags), 1,
                    block.substr(begin, kMaxFrameBytes));
  }
  return frames;
}

// RFC 9113 sections 4, 5.
TEST_F(H2ConformanceTest, FramesAndStreams) {
  const std::string get = h2::Block(kGet);
  Check({
      {"3.4 an empty SETTINGS is enough", "", ""},
      {"4.1 unknown frames are ignored", Frame(0xa5, 0xff, 0, "abc") + h2::Head(1, kGet), kOk},
      {"4.1 undefined flags are ignored", Frame(h2::kPing, 0xfe, 0, "12345678"), "PING ACK"},
      {"4.1 the reserved bit is ignored", Frame(h2::kPing, 0, 0x80000000u, "12345678"), "PING ACK"},
      {"4.2 H221 DATA above SETTINGS_MAX_FRAME_SIZE",
       h2::Head(1, kPost, 0) + h2::Data(1, std::string(16385, 'x')), "GOAWAY 6"},
      {"4.2 H221 a frame of 2^24-1 bytes",
       Number(0xffffff, 3) + Number(0, 1) + Number(0, 1) + Number(1, 4), "GOAWAY 6"},
      {"4.3 a header block that is no HPACK",
       Frame(h2::kHeaders, kEndHeaders | 1, 1, "\xff\xff\xff\xff\xff\xff"), "GOAWAY 9"},
      {"4.3 PRIORITY within a header block",
       Frame(h2::kHeaders, 1, 1, get) + Frame(h2::kPriority, 0, 1, Number(0, 5)), "GOAWAY 1"},
      {"4.3 HEADERS of another stream within one",
       Frame(h2::kHeaders, 1, 1, get) + h2::Head(3, kGet), "GOAWAY 1"},
      {"5.1 DATA on an idle stream", h2::Data(1, "x"), "GOAWAY 1"},
      {"5.1 RST_STREAM on an idle stream", h2::Reset(1, 8), "GOAWAY 1"},
      {"5.1 WINDOW_UPDATE on an idle stream", h2::WindowUpdate(1, 100), "GOAWAY 1"},
      {"5.1 CONTINUATION on an idle stream", Frame(h2::kContinuation, kEndHeaders, 1, get),
       "GOAWAY 1"},
      {"5.1 H202 DATA behind END_STREAM", h2::Head(1, With(":path", "/hang")) + h2::Data(1, "x"),
       "GOAWAY 5"},
      {"5.1 HEADERS behind END_STREAM", h2::Head(1, With(":path", "/hang")) + h2::Head(1, kGet),
       "GOAWAY 5"},
      {"5.1 DATA on a stream that was reset",
       h2::Head(1, kPost, 0) + h2::Reset(1, 8) + h2::Data(1, "x") + h2::Ping(), "PING ACK"},
      {"5.1.1 H221 an even stream", h2::Head(2, kGet), "GOAWAY 1"},
      // nghttp2 tells it from trailers that come too late for a closed stream as little as we could
      // without a list of all numbers that were left out: neither is served.
      {"5.1.1 H221 a lower stream is not served",
       h2::Head(5, With(":path", "/hang")) + h2::Head(3, kGet), ""},
      {"5.5 an unknown frame within a header block",
       Frame(h2::kHeaders, 1, 1, get) + Frame(0xa5, 0, 1, ""), "GOAWAY 1"},
  });
}

// RFC 9113 section 6.
TEST_F(H2ConformanceTest, FrameTypes) {
  const std::string get = h2::Block(kGet);
  Check({
      {"6.1 DATA on stream 0", h2::Data(0, "x"), "GOAWAY 1"},
      {"6.1 padding longer than the frame",
       h2::Head(1, kPost, 0) + Frame(h2::kData, h2::kPadded, 1,
                                     "\x06"
                                     "abc"),
       "GOAWAY 1"},
      {"6.1 padded DATA",
       h2::Head(1, kPost, 0) + Frame(h2::kData, h2::kPadded | 1, 1, std::string("\x03hi\0\0\0", 6)),
       "HEADERS 1 200, DATA 1, DATA 1 END"},
      {"6.2 padded HEADERS",
       Frame(h2::kHeaders, kEndHeaders | h2::kPadded | 1, 1, "\x02" + get + std::string(2, '\0')),
       kOk},
      {"6.2 HEADERS with priority",
       Frame(h2::kHeaders, kEndHeaders | 0x20 | 1, 1, Number(0, 5) + get), kOk},
      {"6.2 HEADERS on stream 0", Frame(h2::kHeaders, kEndHeaders | 1, 0, get), "GOAWAY 1"},
      {"6.2 HEADERS padded beyond its end",
       Frame(h2::kHeaders, kEndHeaders | h2::kPadded | 1, 1, "\xff" + get), "GOAWAY 1"},
      {"5.3 H211 HEADERS that depends on itself",
       Frame(h2::kHeaders, kEndHeaders | 0x20 | 1, 1, Number(1, 4) + Number(0, 1) + get),
       "GOAWAY 1"},
      {"6.3 PRIORITY is ignored", Frame(h2::kPriority, 0, 1, Number(0, 5)) + h2::Head(1, kGet),
       kOk},
      {"6.3 PRIORITY on stream 0", Frame(h2::kPriority, 0, 0, Number(0, 5)), "GOAWAY 1"},
      {"6.3 PRIORITY of 4 bytes", Frame(h2::kPriority, 0, 1, Number(0, 4)), "GOAWAY 6"},
      {"6.4 RST_STREAM on stream 0", h2::Reset(0, 8), "GOAWAY 1"},
      {"6.4 RST_STREAM of 3 bytes",
       h2::Head(1, With(":path", "/hang")) + Frame(h2::kRstStream, 0, 1, Number(8, 3)), "GOAWAY 6"},
      {"6.5 SETTINGS ACK with a payload", Frame(h2::kSettings, 1, 0, Number(0, 6)), "GOAWAY 6"},
      {"6.5 SETTINGS on a stream", Frame(h2::kSettings, 0, 1, ""), "GOAWAY 1"},
      {"6.5 SETTINGS of 5 bytes", Frame(h2::kSettings, 0, 0, Number(0, 5)), "GOAWAY 6"},
      {"6.5.2 ENABLE_PUSH 2", h2::Settings({{2, 2}}), "GOAWAY 1"},
      {"6.5.2 H214 INITIAL_WINDOW_SIZE 2^31", h2::Settings({{4, 0x80000000u}}), "GOAWAY 3"},
      {"6.5.2 MAX_FRAME_SIZE too small", h2::Settings({{5, 16383}}), "GOAWAY 1"},
      {"6.5.2 MAX_FRAME_SIZE too large", h2::Settings({{5, 1 << 24}}), "GOAWAY 1"},
      {"6.5.2 H208 unknown settings", h2::Settings({{0xff, 1}, {0xfe, 2}}), "SETTINGS ACK"},
      {"8441-3 ENABLE_CONNECT_PROTOCOL 2", h2::Settings({{8, 2}}), "GOAWAY 1"},
      {"6.6 H220 PUSH_PROMISE",
       h2::Head(1, kPost, 0) + Frame(h2::kPushPromise, kEndHeaders, 1, Number(2, 4) + get),
       "GOAWAY 1"},
      {"6.7 PING", h2::Ping(), "PING ACK"},
      {"6.7 PING ACK is not answered", h2::Ping(h2::kAck), ""},
      {"6.7 PING on a stream", Frame(h2::kPing, 0, 1, "12345678"), "GOAWAY 1"},
      {"6.7 PING of 7 bytes", Frame(h2::kPing, 0, 0, "1234567"), "GOAWAY 6"},
      {"6.8 GOAWAY on a stream", Frame(h2::kGoAway, 0, 1, Number(0, 8)), "GOAWAY 1"},
      {"6.8 GOAWAY of 7 bytes", Frame(h2::kGoAway, 0, 0, Number(0, 7)), "GOAWAY 6"},
      {"6.9 H202 WINDOW_UPDATE 0 of the connection", h2::WindowUpdate(0, 0), "GOAWAY 1"},
      {"6.9 H202 WINDOW_UPDATE 0 of a stream",
       h2::Head(1, With(":path", "/hang")) + h2::WindowUpdate(1, 0), "GOAWAY 1"},
      {"6.9 WINDOW_UPDATE of 3 bytes", Frame(h2::kWindowUpdate, 0, 0, Number(1, 3)), "GOAWAY 6"},
      {"6.9.1 H214 the connection's window above 2^31-1",
       h2::WindowUpdate(0, 0x7fffffff) + h2::WindowUpdate(0, 0x7fffffff), "GOAWAY 3"},
      {"6.9.1 H214 a stream's window above 2^31-1",
       h2::Head(1, With(":path", "/hang")) + h2::WindowUpdate(1, 0x7fffffff), "RST_STREAM 1 3"},
      {"6.10 CONTINUATION",
       Frame(h2::kHeaders, 1, 1, get.substr(0, 9)) +
           Frame(h2::kContinuation, 0, 1, get.substr(9, 9)) +
           Frame(h2::kContinuation, kEndHeaders, 1, get.substr(18)),
       kOk},
      {"6.10 CONTINUATION behind END_HEADERS",
       h2::Head(1, With(":path", "/hang")) + Frame(h2::kContinuation, kEndHeaders, 1, ""),
       "GOAWAY 1"},
      {"6.10 CONTINUATION of another stream",
       Frame(h2::kHeaders, 1, 1, get) + Frame(h2::kContinuation, kEndHeaders, 3, ""), "GOAWAY 1"},
      {"6.10 DATA within a header block", Frame(h2::kHeaders, 0, 1, get) + h2::Data(1, "x"),
       "GOAWAY 1"},
  });
}

// RFC 9113 section 8, as it comes through the engine; what a head may say is in h2_request_test.
TEST_F(H2ConformanceTest, Messages) {
  const std::string reset = "RST_STREAM 1 1";
  const std::string body = h2::Head(1, With("content-length", "5", kPost), 0);
  Check({
      {"8.1 trailers", h2::Head(1, kPost, 0) + h2::Data(1, "x") + h2::Head(1, {{"x-sum", "1"}}),
       "HEADERS 1 200, DATA 1, HEADERS 1  END"},
      {"8.1 H219 trailers without END_STREAM",
       h2::Head(1, kPost, 0) + h2::Data(1, "x") + h2::Head(1, {{"x-sum", "1"}}, 0), reset},
      {"8.1.1 H215 a content-length in trailers",
       h2::Head(1, kPost, 0) + h2::Data(1, "x") + h2::Head(1, {{"content-length", "1"}}), reset},
      {"8.1 H219 a pseudo-header field in trailers",
       h2::Head(1, kPost, 0) + h2::Head(1, {{":path", "/"}}), reset},
      {"8.2.1 H217 an upper-case name", h2::Head(1, With("X-Foo", "1")), reset},
      {"8.2.1 H217 a name with a space", h2::Head(1, With("x y", "1")), reset},
      {"8.2.1 H217 an empty name", h2::Head(1, With("", "1")), reset},
      {"8.2.1 H217 CRLF in a value", h2::Head(1, With("x", "1\r\ny: 2")), reset},
      {"8.2.1 H217 a value that begins with a space", h2::Head(1, With("x", " 1")), reset},
      {"8.2.2 H216 connection", h2::Head(1, With("connection", "close")), reset},
      {"8.2.2 H216 transfer-encoding", h2::Head(1, With("transfer-encoding", "chunked")), reset},
      {"8.2.2 H216 upgrade", h2::Head(1, With("upgrade", "h2c")), reset},
      {"8.2.2 H216 te: gzip", h2::Head(1, With("te", "gzip")), reset},
      {"8.2.2 te: trailers", h2::Head(1, With("te", "trailers")), kOk},
      {"8.3 H219 an unknown pseudo-header field", h2::Head(1, With(":foo", "1")), reset},
      {"8.3 H219 a response's pseudo-header field", h2::Head(1, With(":status", "200")), reset},
      {"8.3 H219 one behind a regular field",
       h2::Head(1, {{":method", "GET"},
                    {"a", "b"},
                    {":scheme", "http"},
                    {":path", "/"},
                    {":authority", "good.test"}}),
       reset},
      {"8.3.1 no :authority and no host",
       h2::Head(1, {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}), reset},
      {"8.3.1 H219 no :path",
       h2::Head(1, {{":method", "GET"}, {":scheme", "http"}, {":authority", "good.test"}}), reset},
      {"8.3.1 HC29 :authority and host differ", h2::Head(1, With("host", "evil.test")), reset},
      {"8.3.1 HC31 an absolute :path", h2::Head(1, With(":path", "http://evil.test/")), reset},
      {"8.5 TU02 CONNECT", h2::Head(1, {{":method", "CONNECT"}, {":authority", "good.test:443"}}),
       "HEADERS 1 405, DATA 1 END"},
      {"8441-4 H222 another :protocol",
       h2::Head(1, With(":protocol", "connect-udp", With(":method", "CONNECT")), 0),
       "HEADERS 1 501, DATA 1 END"},
      {"8441-4 H222 :protocol without CONNECT", h2::Head(1, With(":protocol", "websocket")), reset},
      {"8.1.1 H215 more DATA than content-length", body + h2::Data(1, "123456", 1), reset},
      {"8.1.1 H215 less DATA than content-length", body + h2::Data(1, "1234", 1), reset},
      {"8.1.1 H215 content-length without DATA", h2::Head(1, With("content-length", "5")), reset},
      {"8.1.1 H215 two of them",
       h2::Head(1, With("Content-length", "5", With("content-length", "5", kPost)), 0), reset},
      {"10.5.1 a header list of the announced size",
       InFrames(h2::Block(WithFields(7, std::string(kFieldBytes, 'a')))), kOk},
      {"10.5.1 H122 a larger one",
       InFrames(h2::Block(WithFields(8, std::string(kFieldBytes, 'a')))),
       "HEADERS 1 431, DATA 1 END"},
  });
}

// RFC 7541.
TEST_F(H2ConformanceTest, Hpack) {
  const std::string get = h2::Block(kGet);
  const auto block = [&](const std::string& bytes) {
    return Frame(h2::kHeaders, kEndHeaders | 1, 1, bytes);
  };
  const std::string broken = "GOAWAY 9";
  Check({
      {"2.3.3 H206 an index beyond the tables", block(get + "\xc6"), broken},
      {"6.1 H206 index 0", block(get + "\x80"), broken},
      {"4.2 H206 a table size update at the end", block(get + "\x20"), broken},
      {"6.3 H206 a table larger than announced", block("\x3f\xe2\x1f" + get), broken},
      {"4.2 two updates at the beginning", block("\x20\x3f\xe1\x1f" + get), kOk},
      {"5.1 H206 an integer that does not end",
       block(get + "\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"), broken},
      {"5.2 a string longer than the block", block(get + std::string("\x00\x7f\x61", 3)), broken},
      {"5.2 Huffman padding of more than 7 bits",
       block(get + std::string("\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff", 12)), broken},
      {"5.2 Huffman padding with zeros",
       block(get + std::string("\x00\x85\xf2\xb2\x4a\x87\x00\x00", 8)), broken},
      {"5.2 Huffman's EOS in a string", block(get + std::string("\x00\x84\xff\xff\xff\xff\x00", 7)),
       broken},
  });
}

}  // namespace
}  // namespace sallyport::proxy
