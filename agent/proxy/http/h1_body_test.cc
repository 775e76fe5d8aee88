// Bodies of requests and responses, with faults.

#include <gtest/gtest.h>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kChunkedHead =
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

Task<std::string> ReadWhole(H1ServerConnection* server) {
  const H1ServerConnection::HeadResult head = co_await server->ReadHead();
  if (!std::holds_alternative<RequestHead>(head)) co_return "no head";
  std::string body;
  while (true) {
    const absl::StatusOr<std::string_view> piece = co_await server->body().Read();
    if (!piece.ok()) co_return body + "!" + absl::StatusCodeToString(piece.status().code());
    if (piece->empty()) break;
    body += *piece;
  }
  for (const Header& field : server->body().trailers().fields()) {
    body += "|" + field.name + "=" + field.value;
  }
  co_return body + (server->body_complete() ? "." : "?");
}

struct Served {
  explicit Served(const H1Limits& limits = {}, const H1Timeouts& timeouts = {}) {
    std::tie(stream, client) = MemoryStream::MakePair(context);
    server = std::make_unique<H1ServerConnection>(stream.get(), "", limits, timeouts);
  }
  std::string Body() { return RunTask(context, ReadWhole(server.get())); }

  boost::asio::io_context context{1};
  std::unique_ptr<MemoryStream> stream, client;
  std::unique_ptr<H1ServerConnection> server;
};

std::string BodyOf(std::string_view bytes, const Faults& faults = {}, const H1Limits& limits = {}) {
  Served served(limits);
  served.stream->set_faults(faults);
  served.stream->Receive(bytes);
  served.stream->ReceiveEnd();
  return served.Body();
}

struct BodyCase {
  const char* name;
  std::string bytes;
  std::string result;
};

std::string Chunked(const std::string& body) { return std::string(kChunkedHead) + body; }

std::string ManyTrailers(int count) {
  std::string text = "0\r\n";
  for (int i = 0; i < count; ++i) text += "x: y\r\n";
  return text + "\r\n";
}

const BodyCase kBodyCases[] = {
    {"None", "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", "."},
    {"Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcdef", "abc."},
    {"LengthShort", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", "ab!DATA_LOSS"},
    {"Chunks", Chunked("3\r\nabc\r\n10\r\n0123456789abcdef\r\n1;x\r\nz\r\n0\r\n\r\nrest"),
     "abc0123456789abcdefz."},
    {"ChunksShort", Chunked("3\r\nabc\r\n"), "abc!DATA_LOSS"},
    {"TrailersShort", Chunked("3\r\nabc\r\n0\r\nx: y\r\n"), "abc!DATA_LOSS"},
    {"Trailers", Chunked("1\r\na\r\n0\r\nx-a: 1\r\nX-B:2\r\n\r\n"), "a|x-a=1|X-B=2."},
    {"H111_BadSize", Chunked("3\r\nabc\r\n0x1\r\nz\r\n"), "abc!INVALID_ARGUMENT"},
    {"H113_TooLong", Chunked("3\r\nabcXX"), "abc!INVALID_ARGUMENT"},
    {"H115_Forbidden",
     Chunked("0\r\nHost: evil\r\nAuthorization: x\r\nContent-Length: 5\r\nTransfer_Encoding: "
             "y\r\nok: 1\r\n\r\n"),
     "|ok=1."},
    {"H115_NoColon", Chunked("0\r\nabc\r\n\r\n"), "!INVALID_ARGUMENT"},
    {"H115_Fold", Chunked("0\r\na: b\r\n c\r\n\r\n"), "!INVALID_ARGUMENT"},
    {"H115_BareLf", Chunked("0\r\na: b\n\n"), "!INVALID_ARGUMENT"},
    {"H115_ManyTrailers", Chunked(ManyTrailers(10'000)), "!INVALID_ARGUMENT"},
    {"H115_LongTrailer", Chunked("0\r\nx: " + std::string(17 * 1024, 'y') + "\r\n\r\n"),
     "!INVALID_ARGUMENT"},
    {"H114_Extensions", Chunked("1;" + std::string(17 * 1024, 'y') + "\r\na\r\n"),
     "!INVALID_ARGUMENT"},
};

class BodyTest : public testing::TestWithParam<BodyCase> {};
INSTANTIATE_TEST_SUITE_P(, BodyTest, testing::ValuesIn(kBodyCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(BodyTest, WholeAndInPieces) {
  EXPECT_EQ(BodyOf(GetParam().bytes), GetParam().result);
  EXPECT_EQ(BodyOf(GetParam().bytes, {.max_read = 1}), GetParam().result);
  EXPECT_EQ(BodyOf(GetParam().bytes, {.max_read = 7}), GetParam().result);
}

TEST(H1BodyTest, ResetAtEveryByteIsAnError) {
  const std::string text = Chunked("3\r\nabc\r\n0\r\nx: y\r\n\r\n");
  for (uint64_t at = kChunkedHead.size(); at < text.size(); ++at) {
    const std::string result = BodyOf(text, {.reset_read_at = at});
    EXPECT_TRUE(result.ends_with("!UNAVAILABLE")) << at << " " << result;
  }
  EXPECT_EQ(BodyOf(text, {.reset_read_at = text.size()}), "abc|x=y.");
}

TEST(H1BodyTest, StallEndsAtTheDeadline) {
  Served served({}, {.body = milliseconds(10)});
  served.stream->set_faults({.stall_read_at = kChunkedHead.size() + 5});
  served.stream->Receive(Chunked("3\r\nabc\r\n0\r\n\r\n"));
  EXPECT_EQ(served.Body(), "ab!DEADLINE_EXCEEDED");
}

TEST(H1BodyTest, H114ManySmallChunksBecomeFewPieces) {
  constexpr int kChunks = 100'000;
  std::string text;
  for (int i = 0; i < kChunks; ++i)
    text += "1\r\n" + std::string(1, static_cast<char>('a' + i % 26)) + "\r\n";
  text += "0\r\n\r\n";
  Served served;
  served.stream->Receive(Chunked(text));
  ASSERT_TRUE(
      std::holds_alternative<RequestHead>(RunTask(served.context, served.server->ReadHead())));
  int pieces = 0;
  uint64_t bytes = 0;
  while (true) {
    const absl::StatusOr<std::string_view> piece =
        RunTask(served.context, served.server->body().Read());
    ASSERT_TRUE(piece.ok());
    if (piece->empty()) break;
    ++pieces;
    for (const char c : *piece) ASSERT_EQ(c, static_cast<char>('a' + bytes++ % 26));
  }
  EXPECT_EQ(bytes, kChunks);
  EXPECT_EQ(served.server->body_bytes_received(), kChunks);
  EXPECT_LT(pieces, 100);
}

TEST(H1BodyTest, KnowsWhatIsReadyWithoutDisturbingThePieceBefore) {
  Served served;
  served.stream->Receive(Chunked("3\r\nabc\r\n"));
  ASSERT_TRUE(
      std::holds_alternative<RequestHead>(RunTask(served.context, served.server->ReadHead())));
  BodyReader& body = served.server->body();
  EXPECT_TRUE(body.ReadyNow());
  const absl::StatusOr<std::string_view> piece = RunTask(served.context, body.Read());
  ASSERT_TRUE(piece.ok());
  EXPECT_FALSE(body.ReadyNow());
  EXPECT_EQ(*piece, "abc");
  served.stream->Receive("1\r\nd\r\n0\r\n\r\n");
  EXPECT_FALSE(body.ReadyNow());  // Nobody has read it from the stream.
  EXPECT_EQ(RunTask(served.context, body.Read()).value(), "d");
  EXPECT_TRUE(body.ReadyNow());
  EXPECT_EQ(RunTask(served.context, body.Read()).value(), "");
  EXPECT_TRUE(body.ReadyNow());
}

TEST(H1BodyTest, APieceThatIsReadyIsNotReadYet) {
  Served served;
  served.stream->Receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  ASSERT_TRUE(
      std::holds_alternative<RequestHead>(RunTask(served.context, served.server->ReadHead())));
  EXPECT_TRUE(served.server->body().ReadyNow());
  EXPECT_FALSE(served.server->body_complete());
  EXPECT_EQ(RunTask(served.context, served.server->body().Read()).value(), "abc");
  EXPECT_TRUE(served.server->body_complete());
}

TEST(H1BodyTest, ErrorsStay) {
  Served served;
  served.stream->Receive(Chunked("zz\r\n"));
  ASSERT_TRUE(
      std::holds_alternative<RequestHead>(RunTask(served.context, served.server->ReadHead())));
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<std::string_view> piece =
        RunTask(served.context, served.server->body().Read());
    EXPECT_TRUE(absl::IsInvalidArgument(piece.status()));
  }
  EXPECT_FALSE(served.server->body_complete());
  EXPECT_FALSE(served.server->reusable());
}

}  // namespace
}  // namespace sallyport::proxy
