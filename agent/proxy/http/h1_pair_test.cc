// A client and a server that talk to each other, in memory and over a socket.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kTime{20};

struct Streams {
  std::unique_ptr<Stream> client, server;
};

Streams InMemory(boost::asio::io_context& context) {
  auto [a, b] = MemoryStream::MakePair(context);
  return {std::move(a), std::move(b)};
}

// Odd sizes, so that every boundary falls within a read somewhere.
Streams InSmallPieces(boost::asio::io_context& context) {
  auto [a, b] = MemoryStream::MakePair(context);
  a->set_faults({.max_read = 13, .capacity = 101});
  b->set_faults({.max_read = 7, .capacity = 53});
  return {std::move(a), std::move(b)};
}

Streams OverASocket(boost::asio::io_context& context) {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {std::make_unique<TcpStream>(context, UniqueFd(fds[0])),
          std::make_unique<TcpStream>(context, UniqueFd(fds[1]))};
}

// Sends each request's body back as it comes, with its trailers.
Task<void> Echo(std::unique_ptr<Stream> stream, int* served) {
  H1ServerConnection server(stream.get(), "", H1Limits{}, H1Timeouts{});
  while (true) {
    const H1ServerConnection::HeadResult result = co_await server.ReadHead();
    const auto* request = std::get_if<RequestHead>(&result);
    if (request == nullptr) co_return;
    ResponseHead head;
    head.status = 200;
    head.framing = request->framing;
    head.content_length = request->content_length;
    // Before the response begins, so that a client that expects it is asked.
    absl::StatusOr<std::string_view> piece = co_await server.body().Read();
    absl::Status status = co_await server.WriteHead(head, true);
    while (status.ok() && piece.ok() && !piece->empty()) {
      status = co_await server.WriteBody(*piece,
                                         server.body().ReadyNow() ? More::kAtOnce : More::kUnknown);
      piece = co_await server.body().Read();
    }
    EXPECT_TRUE(piece.ok()) << piece.status();
    if (status.ok()) status = co_await server.FinishBody(server.body().trailers());
    EXPECT_TRUE(status.ok()) << status;
    ++*served;
  }
}

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

Task<void> Send(H1ClientConnection* client, RequestHead head, std::string body, size_t piece_bytes,
                bool* done) {
  absl::Status status = co_await client->WriteHead(head, "good.test");
  for (size_t at = 0; at < body.size() && status.ok(); at += piece_bytes) {
    status = co_await client->WriteBody(std::string_view(body).substr(at, piece_bytes));
  }
  Headers trailers;
  trailers.Add("x-size", std::to_string(body.size()));
  if (status.ok()) status = co_await client->FinishBody(trailers);
  EXPECT_TRUE(status.ok()) << status;
  *done = true;
}

// The body that came back, with the size that its trailer tells.
Task<std::string> Receive(H1ClientConnection* client) {
  const absl::StatusOr<ResponseHead> head = co_await client->ReadHead(kTime);
  if (!head.ok()) co_return head.status().ToString();
  std::string body;
  while (true) {
    const absl::StatusOr<std::string_view> piece = co_await client->body().Read();
    if (!piece.ok()) co_return piece.status().ToString();
    if (piece->empty()) break;
    body += *piece;
  }
  const std::string* size = client->body().trailers().Find("x-size");
  co_return body + "|" + (size != nullptr ? *size : "");
}

class H1PairTest : public testing::TestWithParam<Streams (*)(boost::asio::io_context&)> {};
std::string NameOf(const testing::TestParamInfo<Streams (*)(boost::asio::io_context&)>& info) {
  constexpr std::array kNames = {"InMemory", "InSmallPieces", "OverASocket"};
  return kNames[info.index];
}
INSTANTIATE_TEST_SUITE_P(, H1PairTest, testing::Values(&InMemory, &InSmallPieces, &OverASocket),
                         NameOf);

TEST_P(H1PairTest, BodiesOfAllSizesGoBothWays) {
  boost::asio::io_context context(1);
  Streams streams = GetParam()(context);
  int served = 0;
  Spawn(context, Echo(std::move(streams.server), &served));
  H1ClientConnection client(std::move(streams.client), H1Limits{}, H1Timeouts{});
  int asked = 0;
  for (const size_t size : {0, 1, 100, 4096, 16 * 1024, 16 * 1024 + 1, 200'000}) {
    for (const BodyFraming framing : {BodyFraming::kLength, BodyFraming::kChunked}) {
      for (const size_t piece_bytes : {size_t{1000}, size_t{65'536}}) {
        RequestHead head;
        head.method = "POST";
        head.target = "/";
        head.framing = framing;
        head.content_length = size;
        if (asked % 2 == 1 && size > 0) head.headers.Add("Expect", "100-continue");
        bool sent = false;
        Spawn(context, Send(&client, head, Pattern(size), piece_bytes, &sent));
        const std::string got = RunTask(context, Receive(&client));
        RunReady(context);
        EXPECT_TRUE(sent);
        EXPECT_TRUE(got == Pattern(size) + "|" +
                               (framing == BodyFraming::kChunked ? std::to_string(size) : ""))
            << size << " " << got.size();
        EXPECT_TRUE(client.reusable());
        ++asked;
        EXPECT_EQ(served, asked);
      }
    }
  }
  EXPECT_TRUE(client.StillIdle());
  client.tunnel().Close(Stream::How::kGraceful);
  RunReady(context);
}

}  // namespace
}  // namespace sallyport::proxy
