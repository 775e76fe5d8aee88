#include "agent/proxy/handlers/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::proxy {
namespace {

using std::string_literals::operator""s;
using testing::HasSubstr;

void Add(google::protobuf::RepeatedPtrField<v1::Header>* list, const std::string& name,
         const std::string& value) {
  v1::Header* header = list->Add();
  header->set_name(name);
  header->set_value(value);
}

std::string Text(const Headers& headers) {
  std::string text;
  for (const Header& field : headers.fields()) text += field.name + "=" + field.value + ";";
  return text;
}

std::string ErrorOf(const absl::Status& status) {
  if (!status.ok()) EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return status.ok() ? "" : std::string(status.message());
}

TEST(AnswerTest, RespondKeepsOrderAndLowersNames) {
  v1::Respond message;
  message.set_status(418);
  Add(message.mutable_headers(), "Set-Cookie", " a=b ");
  Add(message.mutable_headers(), "set-cookie", "");
  Add(message.mutable_headers(), "x-bytes", "\x80\xff");
  const absl::StatusOr<Respond> respond = ValidateRespond(message);
  ASSERT_TRUE(respond.ok()) << respond.status();
  EXPECT_EQ(respond->status, 418);
  EXPECT_EQ(Text(respond->headers), "set-cookie=a=b;set-cookie=;x-bytes=\x80\xff;");
}

TEST(AnswerTest, Statuses) {
  for (const uint32_t status : {200u, 204u, 304u, 599u}) {
    v1::Respond message;
    message.set_status(status);
    EXPECT_TRUE(ValidateRespond(message).ok()) << status;
  }
  for (const uint32_t status : {0u, 100u, 101u, 199u, 600u, 4294967295u}) {
    v1::Respond message;
    message.set_status(status);
    EXPECT_THAT(ErrorOf(ValidateRespond(message).status()), HasSubstr("must be 200 to 599"));
  }
}

struct BadHeader {
  std::string name;
  std::string value;
  std::string error;
};

// What no message may carry, in whatever place.
TEST(AnswerTest, IllegalHeaders) {
  const std::vector<BadHeader> cases = {
      {"", "x", "`` is not a token"},
      {"a b", "x", "`a b` is not a token"},
      {"a:", "x", "`a:` is not a token"},
      {":path", "/", "`:path` is not a token"},
      {"a\r\nb", "x", "`a\\r\\nb` is not a token"},
      {"caf\xc3\xa9", "x", "is not a token"},
      {"x", "a\rb", "`x` has a value with CR, LF or NUL"},
      {"x", "a\n", "`x` has a value with CR, LF or NUL"},
      {"x", "a\nb", "`x` has a value with CR, LF or NUL"},
      {"x", "a\0b"s, "`x` has a value with CR, LF or NUL"},
      {"Connection", "close", "`connection` belongs to the connection"},
      {"keep-alive", "5", "`keep-alive` belongs to the connection"},
      {"proxy-connection", "x", "`proxy-connection` belongs to the connection"},
      {"te", "trailers", "`te` belongs to the connection"},
      {"trailer", "x", "`trailer` belongs to the connection"},
      {"Transfer-Encoding", "chunked", "`transfer-encoding` belongs to the connection"},
      {"upgrade", "h2c", "`upgrade` belongs to the connection"},
      {"http2-settings", "x", "`http2-settings` belongs to the connection"},
      {"x", std::string(61 * 1024, 'x'), "longer than 60 KiB"},
  };
  for (const BadHeader& c : cases) {
    v1::Respond respond;
    respond.set_status(200);
    Add(respond.mutable_headers(), c.name, c.value);
    EXPECT_THAT(ErrorOf(ValidateRespond(respond).status()), HasSubstr(c.error));
    v1::Forward forward;
    Add(forward.mutable_set_headers(), c.name, c.value);
    EXPECT_THAT(ErrorOf(ValidateForward(forward, "https").status()), HasSubstr(c.error));
    v1::End end;
    Add(end.mutable_trailers(), c.name, c.value);
    EXPECT_THAT(ErrorOf(ValidateTrailers(end).status()), HasSubstr(c.error));
  }
}

TEST(AnswerTest, TooManyHeaders) {
  v1::Respond message;
  message.set_status(200);
  for (int i = 0; i < 256; ++i) Add(message.mutable_headers(), "x", "y");
  EXPECT_TRUE(ValidateRespond(message).ok());
  Add(message.mutable_headers(), "x", "y");
  EXPECT_THAT(ErrorOf(ValidateRespond(message).status()), HasSubstr("more than 256 headers"));
}

TEST(AnswerTest, ContentLengthOfAResponse) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"0"}, ""},
      {{" 17 "}, ""},
      {{"17", "17"}, "`content-length` stands twice"},
      {{""}, "`content-length` is not a number"},
      {{"+1"}, "`content-length` is not a number"},
      {{"-1"}, "`content-length` is not a number"},
      {{"1,1"}, "`content-length` is not a number"},
      {{"0x10"}, "`content-length` is not a number"},
      {{"9999999999999999999"}, "`content-length` is not a number"},
  };
  for (const auto& [lengths, error] : cases) {
    v1::Respond message;
    message.set_status(200);
    for (const std::string& length : lengths)
      Add(message.mutable_headers(), "Content-Length", length);
    EXPECT_THAT(ErrorOf(ValidateRespond(message).status()), HasSubstr(error)) << lengths[0];
    EXPECT_EQ(ValidateRespond(message).ok(), error.empty()) << lengths[0];
  }
}

TEST(AnswerTest, AnEmptyForwardChangesNothing) {
  const absl::StatusOr<Forward> forward = ValidateForward(v1::Forward(), "http");
  ASSERT_TRUE(forward.ok());
  EXPECT_EQ(forward->method, "");
  EXPECT_EQ(forward->scheme, "");
  EXPECT_FALSE(forward->authority.has_value());
  EXPECT_EQ(forward->path, "");
  EXPECT_TRUE(forward->set_headers.empty());
  EXPECT_TRUE(forward->remove_headers.empty());
}

TEST(AnswerTest, AForwardWithEverything) {
  v1::Forward message;
  message.set_method("PATCH");
  message.set_scheme("https");
  message.set_authority("API.example.com:8443");
  message.set_path("/a?b=c%20d");
  Add(message.mutable_set_headers(), "Authorization", "Bearer t");
  message.add_remove_headers("Cookie");
  const absl::StatusOr<Forward> forward = ValidateForward(message, "http");
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_EQ(forward->method, "PATCH");
  EXPECT_EQ(forward->scheme, "https");
  EXPECT_EQ(forward->authority->ToString(443), "api.example.com:8443");
  EXPECT_EQ(forward->path, "/a?b=c%20d");
  EXPECT_EQ(Text(forward->set_headers), "authorization=Bearer t;");
  EXPECT_EQ(forward->remove_headers, std::vector<std::string>{"cookie"});
}

struct BadForward {
  std::string method, scheme, authority, path;
  std::string error;
  std::string received = "https";
};

TEST(AnswerTest, IllegalForwards) {
  const std::vector<BadForward> cases = {
      {"GET ", "", "", "", "method is not a token"},
      {"GET / HTTP/1.1\r\nx:", "", "", "", "method is not a token"},
      {std::string(33, 'A'), "", "", "", "method is not a token"},
      {"CONNECT", "", "", "", "method is CONNECT"},
      {"", "http", "", "", "lowers https to http"},
      {"", "ftp", "", "", "neither http nor https"},
      {"", "HTTPS", "", "", "neither http nor https"},
      {"", "javascript", "", "", "neither http nor https", "http"},
      {"", "", "a b", "", "not HOST or HOST:PORT"},
      {"", "", "user@host", "", "not HOST or HOST:PORT"},
      {"", "", "host:0", "", "not HOST or HOST:PORT"},
      {"", "", "host/", "", "not HOST or HOST:PORT"},
      {"", "", "127.1", "", "not HOST or HOST:PORT"},
      {"", "", "", "*", "does not begin with /"},
      {"", "", "", "http://evil.test/", "does not begin with /"},
      {"", "", "", "/a b", "visible ASCII"},
      {"", "", "", "/a\r\nb", "visible ASCII"},
      {"", "", "", "/a#b", "visible ASCII"},
      {"", "", "", "/\x7f", "visible ASCII"},
      {"", "", "", "/\xc3\xa9", "visible ASCII"},
      {"", "", "", "/\0"s, "visible ASCII"},
      {"", "", "", "/" + std::string(8192, 'x'), "longer than 8 KiB"},
  };
  for (const BadForward& c : cases) {
    v1::Forward message;
    message.set_method(c.method);
    message.set_scheme(c.scheme);
    message.set_authority(c.authority);
    message.set_path(c.path);
    EXPECT_THAT(ErrorOf(ValidateForward(message, c.received).status()), HasSubstr(c.error));
  }
}

TEST(AnswerTest, TheProxyFramesAndAddressesForwards) {
  for (const auto& [name, error] : std::vector<std::pair<std::string, std::string>>{
           {"Host", "set `authority`"}, {"Content-Length", "the proxy frames the body"}}) {
    v1::Forward message;
    Add(message.mutable_set_headers(), name, "1");
    EXPECT_THAT(ErrorOf(ValidateForward(message, "http").status()), HasSubstr(error));
  }
  v1::Forward remove;
  remove.add_remove_headers("a b");
  EXPECT_THAT(ErrorOf(ValidateForward(remove, "http").status()), HasSubstr("`a b` is not a token"));
}

TEST(AnswerTest, NoContentLengthAmongTrailers) {
  v1::End message;
  Add(message.mutable_trailers(), "X-Sum", "1");
  EXPECT_EQ(Text(*ValidateTrailers(message)), "x-sum=1;");
  Add(message.mutable_trailers(), "content-length", "1");
  EXPECT_THAT(ErrorOf(ValidateTrailers(message).status()), HasSubstr("may not be a trailer"));
}

TEST(AnswerTest, AForwardThatStaysInTheWay) {
  v1::Forward message;
  message.set_inspect_response(true);
  message.set_transform_request(true);
  message.set_content_length(7);
  message.set_send_request_id(true);
  message.set_revoke_leases(true);
  const absl::StatusOr<Forward> forward = ValidateForward(message, "http");
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_TRUE(forward->inspect_response && forward->transform_request && forward->send_request_id &&
              forward->revoke_leases);
  EXPECT_EQ(forward->content_length, 7u);
  message.set_transform_request(false);
  EXPECT_THAT(ErrorOf(ValidateForward(message, "http").status()),
              HasSubstr("content_length without transform_request"));
}

v1::Lease ALease() {
  v1::Lease lease;
  lease.mutable_ttl()->set_seconds(60);
  return lease;
}

TEST(AnswerTest, LeasesOfForwardsThatNobodyElseNeeds) {
  v1::Forward message;
  *message.mutable_lease() = ALease();
  ASSERT_TRUE(ValidateForward(message, "http").ok());
  EXPECT_EQ(ValidateForward(message, "http")->lease->ttl, std::chrono::minutes(1));
  message.set_inspect_response(true);
  EXPECT_THAT(ErrorOf(ValidateForward(message, "http").status()), HasSubstr("leases a forward"));
  message.set_inspect_response(false);
  message.set_transform_request(true);
  EXPECT_THAT(ErrorOf(ValidateForward(message, "http").status()), HasSubstr("leases a forward"));
  message.set_transform_request(false);
  message.mutable_lease()->clear_ttl();
  EXPECT_THAT(ErrorOf(ValidateForward(message, "http").status()), HasSubstr("ttl"));
}

TEST(AnswerTest, NoLeaseInThePlaceOfAnOriginsResponse) {
  v1::Respond message;
  message.set_status(200);
  EXPECT_TRUE(ValidateReplacement(message).ok());
  *message.mutable_lease() = ALease();
  EXPECT_TRUE(ValidateRespond(message)->lease.has_value());
  EXPECT_THAT(ErrorOf(ValidateReplacement(message).status()), HasSubstr("in the place of"));
}

TEST(AnswerTest, APassChangesWhatItSays) {
  v1::PassResponse message;
  absl::StatusOr<Pass> pass = ValidatePass(message);
  ASSERT_TRUE(pass.ok());
  EXPECT_EQ(pass->status, 0);
  message.set_status(404);
  Add(message.mutable_set_headers(), "X-Seen", " 1 ");
  message.add_remove_headers("Set-Cookie");
  message.set_transform_body(true);
  Add(message.mutable_set_headers(), "content-length", "12");
  pass = ValidatePass(message);
  ASSERT_TRUE(pass.ok()) << pass.status();
  EXPECT_EQ(pass->status, 404);
  EXPECT_EQ(Text(pass->set_headers), "x-seen=1;content-length=12;");
  EXPECT_EQ(pass->remove_headers, std::vector<std::string>{"set-cookie"});
  message.set_transform_body(false);
  EXPECT_THAT(ErrorOf(ValidatePass(message).status()), HasSubstr("only with `transform_body`"));
}

TEST(AnswerTest, IllegalPasses) {
  for (const uint32_t status : {100u, 101u, 199u, 600u}) {
    v1::PassResponse message;
    message.set_status(status);
    EXPECT_THAT(ErrorOf(ValidatePass(message).status()), HasSubstr("must be 200 to 599"));
  }
  v1::PassResponse message;
  Add(message.mutable_set_headers(), "Connection", "close");
  EXPECT_THAT(ErrorOf(ValidatePass(message).status()), HasSubstr("belongs to the connection"));
  message.Clear();
  message.add_remove_headers("a b");
  EXPECT_THAT(ErrorOf(ValidatePass(message).status()), HasSubstr("`a b` is not a token"));
}

TEST(AnswerTest, ValuesAreNotQuoted) {
  v1::Respond message;
  message.set_status(200);
  Add(message.mutable_headers(), "authorization", "sec\nret");
  EXPECT_EQ(ErrorOf(ValidateRespond(message).status()),
            "the handler's header `authorization` has a value with CR, LF or NUL");
}

}  // namespace
}  // namespace sallyport::proxy
