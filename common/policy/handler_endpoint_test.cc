#include "common/policy/handler_endpoint.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport {
namespace {

using Protocol = HandlerEndpoint::Protocol;

TEST(HandlerEndpointTest, OnNetworks) {
  struct {
    const char* text;
    Protocol protocol;
    bool tls;
    const char* host;
    int port;
    const char* canonical;
  } cases[] = {
      {"GRPC://Handler.Test.:50051", Protocol::kGrpc, false, "handler.test", 50051,
       "grpc://handler.test:50051"},
      {"grpc://[2001:DB8::1]:1", Protocol::kGrpc, false, "2001:db8::1", 1,
       "grpc://[2001:db8::1]:1"},
      {"grpcs://h.test", Protocol::kGrpc, true, "h.test", 443, "grpcs://h.test:443"},
      {"http://127.0.0.1:8080", Protocol::kHttp, false, "127.0.0.1", 8080, "http://127.0.0.1:8080"},
      {"http://h.test", Protocol::kHttp, false, "h.test", 80, "http://h.test:80"},
      {"HTTPS://h.test", Protocol::kHttp, true, "h.test", 443, "https://h.test:443"},
  };
  for (const auto& c : cases) {
    const auto endpoint = HandlerEndpoint::Parse(c.text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(endpoint->protocol, c.protocol) << c.text;
    EXPECT_EQ(endpoint->tls, c.tls) << c.text;
    EXPECT_FALSE(endpoint->is_unix());
    EXPECT_EQ(endpoint->host, c.host);
    EXPECT_EQ(endpoint->port, c.port) << c.text;
    EXPECT_EQ(endpoint->text, c.canonical);
  }
}

TEST(HandlerEndpointTest, OnUnixSockets) {
  for (const char* text : {"unix:/run/h/a.sock", "UNIX:///run/h/a.sock"}) {
    const auto endpoint = HandlerEndpoint::Parse(text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_TRUE(endpoint->is_unix());
    EXPECT_EQ(endpoint->protocol, Protocol::kGrpc);
    EXPECT_EQ(endpoint->path, "/run/h/a.sock");
    EXPECT_EQ(endpoint->text, "unix:/run/h/a.sock");
  }
  const auto web = HandlerEndpoint::Parse("http+unix:/run/web.sock");
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(web->protocol, Protocol::kHttp);
  EXPECT_EQ(web->text, "http+unix:/run/web.sock");
}

TEST(HandlerEndpointTest, SaysWhatToWriteInstead) {
  struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "is not of a known form; write grpc://HOST:PORT, grpcs://HOST:PORT, unix:/PATH"},
      {"h:1", "\"h:1\" is not of a known form"},
      {"ftp://h:1", "or http+unix:/PATH"},
      {"grpc://h", "has no port; write grpc://HOST:PORT"},
      {"grpc://h:", "has no port"},
      {"grpc://h:0", "port"},
      {"grpc://u@h:1", ""},
      {"grpc://h:1/x", ""},
      {"http://h:1/", "has a path; the handler gets each request with the path that it has"},
      {"http://h:1?x", ""},
      {"https://", ""},
      {"unix:h.sock", "has no absolute path; write unix:/PATH"},
      {"unix://host/h.sock", "has an empty, `.` or `..` segment"},
      {"unix:", "has no absolute path"},
      {"unix:/", "has an empty"},
      {"unix:@h", "has no absolute path"},
      {"unix:/run/../etc/h.sock", "`..` segment"},
      {"unix:/run/./h.sock", "segment"},
      {"unix:/run/h.sock/", "segment"},
      {"unix:/run/h h.sock", "white space"},
      {std::string("unix:/run/h\0.sock", 17), "visible ASCII"},
      {"unix:/" + std::string(107, 'a'), "more than 107 bytes"},
      {"http+unix://run/h.sock", "segment in its path; write http+unix:/PATH"},
  };
  for (const auto& c : cases) {
    const auto endpoint = HandlerEndpoint::Parse(c.text);
    ASSERT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(endpoint.status().message()), testing::HasSubstr(c.message)) << c.text;
  }
}

}  // namespace
}  // namespace sallyport
