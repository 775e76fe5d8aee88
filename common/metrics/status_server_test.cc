#include "common/metrics/status_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "common/base/unique_fd.h"

namespace sallyport {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class StatusServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = StatusServer::Start(
        "127.0.0.1:0",
        {.metrics = [] { return std::string("a 1\n"); }, .not_ready = [this] { return why_not_; }});
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }

  UniqueFd Connect() {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::string& text = server_->address();
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(text.substr(text.rfind(':') + 1))));
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return socket;
  }

  // All that comes back until the server hangs up.
  std::string Ask(const std::string& request) {
    const UniqueFd socket = Connect();
    EXPECT_EQ(write(socket.get(), request.data(), request.size()),
              static_cast<ssize_t>(request.size()));
    std::string all;
    char piece[4096];
    ssize_t count;
    while ((count = read(socket.get(), piece, sizeof(piece))) > 0) all.append(piece, count);
    return all;
  }

  std::string Get(const std::string& path) {
    return Ask("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }

  std::string why_not_;
  std::unique_ptr<StatusServer> server_;
};

TEST_F(StatusServerTest, ServesMetrics) {
  const std::string answer = Get("/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\na 1\n"));
  EXPECT_THAT(Get("/metrics?name=x"), EndsWith("a 1\n"));
}

TEST_F(StatusServerTest, SaysWhyItIsNotReady) {
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  why_not_ = "no proxy runs";
  const std::string answer = Get("/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, EndsWith("no proxy runs\n"));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(StatusServerTest, AHeadHasNoBody) {
  const std::string answer = Ask("HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(StatusServerTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 405 "));
  EXPECT_EQ(Ask("nonsense\r\n\r\n"), "");
}

TEST_F(StatusServerTest, AConnectionIsKept) {
  const std::string answers =
      Ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
          "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nok\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answers, EndsWith("ready\n"));
}

TEST_F(StatusServerTest, EndsWithOpenConnections) {
  const UniqueFd socket = Connect();
  server_.reset();
  char byte;
  EXPECT_LE(read(socket.get(), &byte, 1), 0);
}

TEST_F(StatusServerTest, AnAddressInUseIsAnError) {
  const auto second = StatusServer::Start(
      server_->address(),
      {.metrics = [] { return std::string(); }, .not_ready = [] { return std::string(); }});
  EXPECT_THAT(std::string(second.status().message()),
              StartsWith("cannot serve metrics on 127.0.0.1:"));
}

TEST(CheckStatusAddressTest, WantsAddressAndPort) {
  for (const char* good : {"127.0.0.1:9464", "[::1]:9464", "127.0.0.2:0"})
    EXPECT_TRUE(CheckStatusAddress("--metrics", good).ok()) << good;
  for (const char* bad :
       {"", "9464", ":9464", "localhost:9464", "127.0.0.1", "127.0.0.1:", "0.0.0.0:9464",
        "192.0.2.1:9464", "[::]:9464", "127.0.0.1:70000", "127.0.0.1:94x", "::1:9464", "[::1]"})
    EXPECT_FALSE(CheckStatusAddress("--metrics", bad).ok()) << bad;
}

}  // namespace
}  // namespace sallyport
