#include "agent/proxy/handlers/http_protocol.h"

#include <google/protobuf/text_format.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/http/serialize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

using testing::HasSubstr;

v1::RequestStart Start(const std::string& text) {
  v1::RequestStart start;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &start));
  return start;
}

std::string Written(const v1::RequestStart& start) {
  const RequestHead head = HttpRequestOf(start);
  std::string text;
  AppendRequestHead(head, start.authority(), head.headers, BodyFraming::kNone, 0, &text);
  return text;
}

TEST(HttpRequestTest, SaysWhatWasAskedAndByWhom) {
  EXPECT_EQ(Written(Start(R"pb(
              context {
                container_id: "c1"
                class_name: "agents"
                handler: "web"
                params {
                  fields {
                    key: "k"
                    value { string_value: "a\"b" }
                  }
                }
                rule: "class api.test"
                policy_revision: 7
                request_id: "00ff-1"
                dialled_address: "203.0.113.10"
                dialled_port: 443
              }
              method: "GET"
              scheme: "https"
              authority: "api.test"
              path: "/a?b=c"
              headers { name: "accept" value: "*/*" })pb")),
            "GET https://api.test/a?b=c HTTP/1.1\r\nHost: api.test\r\naccept: */*\r\n"
            "sallyport-container-id: c1\r\nsallyport-class: agents\r\nsallyport-handler: web\r\n"
            "sallyport-params: {\"k\":\"a\\\"b\"}\r\nsallyport-rule: class api.test\r\n"
            "sallyport-policy-revision: 7\r\nsallyport-request-id: 00ff-1\r\n"
            "sallyport-dialled: 203.0.113.10:443\r\n\r\n");
}

TEST(HttpRequestTest, AsksBeforeItSendsABody) {
  EXPECT_TRUE(HttpRequestOf(Start("has_body: true")).expect_continue);
  EXPECT_FALSE(HttpRequestOf(Start("")).expect_continue);
}

TEST(HttpRequestTest, ParamsAreAscii) {
  const auto params = [](const std::string& value) {
    v1::RequestStart start;
    (*start.mutable_context()->mutable_params()->mutable_fields())["k"].set_string_value(value);
    return *HttpRequestOf(start).headers.Find("sallyport-params");
  };
  EXPECT_EQ(params("a\r\nb"), R"({"k":"a\r\nb"})");
  EXPECT_EQ(params("\x7f\xc3\xa4\xe2\x82\xac!"), R"({"k":"\u007f\u00e4\u20ac!"})");
  EXPECT_EQ(params("\xf0\x9f\x9a\xa2"), R"({"k":"\ud83d\udea2"})");
}

TEST(HttpRequestTest, AddressesAreAsInUrls) {
  EXPECT_EQ(*HttpRequestOf(Start("context { dialled_address: '2001:db8::1' dialled_port: 80 }"))
                 .headers.Find("sallyport-dialled"),
            "[2001:db8::1]:80");
}

using Fields = std::vector<std::pair<std::string, std::string>>;

absl::StatusOr<v1::Forward> Parse(const Fields& fields) {
  Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  return ForwardOf(headers);
}

TEST(HttpForwardTest, IsRead) {
  const auto forward = Parse({{"Server", "nginx"},
                              {"Sallyport-Forward", "1"},
                              {"sallyport-forward-method", "PUT"},
                              {"sallyport-forward-scheme", "https"},
                              {"sallyport-forward-authority", "other.test:8443"},
                              {"sallyport-forward-path", "/x?y"},
                              {"sallyport-set-header", "authorization: Bearer a:b"},
                              {"sallyport-set-header", "x-empty:"},
                              {"sallyport-remove-header", "cookie"},
                              {"sallyport-remove-header", "x-a"}});
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_EQ(forward->ShortDebugString(),
            "method: \"PUT\" scheme: \"https\" authority: \"other.test:8443\" path: \"/x?y\" "
            "set_headers { name: \"authorization\" value: \"Bearer a:b\" } "
            "set_headers { name: \"x-empty\" } remove_headers: \"cookie\" remove_headers: \"x-a\"");
  EXPECT_EQ(Parse({{"sallyport-forward", "1"}})->ByteSizeLong(), 0u);
}

TEST(HttpForwardTest, Leases) {
  const auto forward = Parse({{"sallyport-forward", "1"},
                              {"Sallyport-Lease", "ttl=60, path-prefix=\"/a\""},
                              {"sallyport-revoke-leases", "1"}});
  ASSERT_TRUE(forward.ok()) << forward.status();
  EXPECT_EQ(forward->ShortDebugString(),
            "lease { ttl { seconds: 60 } path_prefix: \"/a\" } revoke_leases: true");
}

TEST(HttpForwardTest, WhatCannotBeReadIsAnError) {
  struct {
    Fields fields;
    const char* message;
  } cases[] = {
      {{}, "299 without `sallyport-forward: 1`"},
      {{{"sallyport-set-header", "a: b"}}, "299 without `sallyport-forward: 1`"},
      {{{"sallyport-forward", "0"}}, "is not `1`"},
      {{{"sallyport-forward", "1"}, {"sallyport-forward", "1"}}, "is not `1`, once"},
      {{{"sallyport-forward", "1"}, {"sallyport-set-headers", "a: b"}},
       "\"sallyport-set-headers\" is not known"},
      {{{"sallyport-forward", "1"}, {"sallyport-set-header", "a b"}}, "is not `NAME: VALUE`"},
      {{{"sallyport-forward", "1"},
        {"sallyport-forward-path", "/a"},
        {"sallyport-forward-path", "/b"}},
       "\"sallyport-forward-path\" stands twice"},
      {{{"sallyport-forward", "1"}, {"sallyport-forward-method", ""}}, "is empty"},
      {{{"sallyport-forward", "1"}, {"sallyport-lease", "60"}}, "is no dictionary"},
      {{{"sallyport-forward", "1"}, {"sallyport-lease", "ttl=1"}, {"sallyport-lease", "ttl=1"}},
       "\"sallyport-lease\" stands twice"},
      {{{"sallyport-forward", "1"}, {"sallyport-revoke-leases", "true"}},
       "\"sallyport-revoke-leases\" is not `1`"},
  };
  for (const auto& c : cases) {
    const auto forward = Parse(c.fields);
    ASSERT_EQ(forward.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(forward.status().message()), HasSubstr(c.message));
  }
}

std::string Orders(const Fields& fields, std::string* left = nullptr) {
  Headers headers;
  for (const auto& [name, value] : fields) headers.Add(name, value);
  const auto orders = TakeLeaseOrders(&headers);
  if (!orders.ok()) return std::string(orders.status().message());
  if (left != nullptr) {
    for (const Header& header : headers.fields()) *left += header.name + " ";
  }
  std::string text = orders->revoke_leases ? "revoke " : "";
  if (!orders->lease.has_value()) return text + "no lease";
  const auto ttl = std::chrono::duration_cast<std::chrono::milliseconds>(orders->lease->ttl);
  return text + std::to_string(ttl.count()) + " ms";
}

TEST(LeaseOrdersTest, AreTakenOutOfAnAnswer) {
  std::string left;
  EXPECT_EQ(Orders({{"server", "x"}, {"sallyport-other", "y"}}, &left), "no lease");
  EXPECT_EQ(left, "server sallyport-other ");
  left.clear();
  EXPECT_EQ(
      Orders({{"Sallyport-Lease", "ttl=1.5"}, {"server", "x"}, {"SALLYPORT-REVOKE-LEASES", "1"}},
             &left),
      "revoke 1500 ms");
  EXPECT_EQ(left, "server ");
}

TEST(LeaseOrdersTest, WhatIsIllegalIsAnError) {
  EXPECT_THAT(Orders({{"sallyport-lease", "ttl=1"}, {"sallyport-lease", "ttl=1"}}),
              HasSubstr("stands twice"));
  EXPECT_THAT(Orders({{"sallyport-lease", "ttl"}}), HasSubstr("without a value"));
  EXPECT_THAT(Orders({{"sallyport-lease", "max-uses=1"}}), HasSubstr("no ttl from 1 ms to 1 h"));
  EXPECT_THAT(Orders({{"sallyport-lease", "ttl=3601"}}), HasSubstr("no ttl from 1 ms to 1 h"));
  EXPECT_THAT(Orders({{"sallyport-lease", "ttl=1, path-prefix=\"/a/../b\""}}),
              HasSubstr("not a plain path"));
  EXPECT_THAT(Orders({{"sallyport-revoke-leases", "0"}}), HasSubstr("is not `1`, once"));
  EXPECT_THAT(Orders({{"sallyport-revoke-leases", "1"}, {"sallyport-revoke-leases", "1"}}),
              HasSubstr("is not `1`, once"));
}

}  // namespace
}  // namespace sallyport::proxy
