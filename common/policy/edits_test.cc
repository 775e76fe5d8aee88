#include "common/policy/edits.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/policy/policy_testing.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::util::MessageDifferencer;

// A class, registered handlers h1, h2 and other, and the rules of one container.
class EditsTest : public testing::Test {
 protected:
  void GivenClass(const std::string& fields) {
    class_ = FromText<v1::ContainerClass>("name: 'c' " + fields);
  }

  // Applies an edit; an error must leave the rules as they were, success must leave them
  // normalised.
  template <typename Request>
  absl::Status Do(absl::Status (*edit)(const PolicyContext&, const Request&, v1::ContainerPolicy*),
                  const std::string& request) {
    const v1::ContainerPolicy before = policy_;
    const absl::Status status =
        edit(PolicyContext{class_, handlers_}, FromText<Request>(request), &policy_);
    v1::ContainerPolicy normal = policy_;
    EXPECT_TRUE(NormaliseContainer(&normal).ok());
    EXPECT_TRUE(MessageDifferencer::Equals(normal, policy_)) << policy_.DebugString();
    if (!status.ok()) EXPECT_TRUE(MessageDifferencer::Equals(policy_, before));
    return status;
  }

  std::string Rules() const {
    std::string text;
    for (const auto& rule : policy_.outbound_by_host()) {
      text += rule.host() + ">" + rule.handler().handler() + " ";
    }
    return text;
  }

  std::string Allowed() const {
    const auto list = EffectiveList(class_.has_allowed_hosts() ? &class_.allowed_hosts() : nullptr,
                                    &policy_.allowed_hosts());
    if (!list.has_value()) return "-";
    std::string text;
    for (const auto& host : list->hosts()) text += host + " ";
    return text;
  }

  v1::ContainerClass class_ = FromText<v1::ContainerClass>("name: 'c'");
  absl::flat_hash_set<std::string> handlers_ = {"h1", "h2", "other"};
  v1::ContainerPolicy policy_ = FromText<v1::ContainerPolicy>("container_id: 'i' class_name: 'c'");
};

TEST_F(EditsTest, SettingARuleAgainKeepsItsPlace) {
  EXPECT_TRUE(Do(ApplySetOutboundByHost, "host: '*.com' handler: 'h2'").ok());
  EXPECT_TRUE(Do(ApplySetOutboundByHost, "host: 'a.*' handler: 'h1'").ok());
  EXPECT_TRUE(Do(ApplySetOutboundByHost, "host: '*.COM.' handler: 'h1'").ok());
  EXPECT_EQ(Rules(), "*.com>h1 a.*>h1 ");
  EXPECT_TRUE(Do(ApplyRemoveOutboundByHost, "host: '*.com'").ok());
  EXPECT_TRUE(Do(ApplyRemoveOutboundByHost, "host: 'absent.com'").ok());
  EXPECT_EQ(Rules(), "a.*>h1 ");
}

TEST_F(EditsTest, HandlersMustBeRegisteredAndAmongTheClasss) {
  GivenClass("outbound_handlers { names: 'h1' names: 'gone' }");
  EXPECT_TRUE(Do(ApplySetOutboundByHost, "host: 'a' handler: 'h1'").ok());
  const absl::Status other = Do(ApplySetOutboundByHost, "host: 'a' handler: 'other'");
  EXPECT_EQ(other.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(other.ToString().find("outbound_handlers of class \"c\", which are: h1, gone"),
            std::string::npos)
      << other;
  for (const char* handler : {"gone", "nope"}) {
    const std::string name = std::string("handler: '") + handler + "'";
    EXPECT_EQ(Do(ApplySetOutboundByHost, "host: 'a' " + name).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(Do(ApplySetOutboundHandler, name).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(Do(ApplyInterceptOutboundHttp, "target: 'a' " + name).code(),
              absl::StatusCode::kNotFound);
    EXPECT_EQ(
        Do(ApplySetOutboundByHosts, std::string("rules { host: 'b' handler { handler: 'h1' } }"
                                                " rules { host: 'c' handler { ") +
                                        name + " } }")
            .code(),
        absl::StatusCode::kNotFound);
  }
  EXPECT_EQ(Rules(), "a>h1 ");
  GivenClass("outbound_handlers {}");
  EXPECT_EQ(Do(ApplySetOutboundHandler, "handler: 'h1'").code(), absl::StatusCode::kNotFound);
}

TEST_F(EditsTest, SetOutboundByHostsReplacesAllOrNothing) {
  EXPECT_TRUE(Do(ApplySetOutboundByHost, "host: 'old' handler: 'h1'").ok());
  ExpectMessage(Do(ApplySetOutboundByHosts,
                   "rules { host: 'a' handler { handler: 'h1' } }"
                   " rules { host: 'A.' handler { handler: 'h1' } }"),
                "rules[1].host:");
  ExpectMessage(Do(ApplySetOutboundByHosts, "rules { host: 'http://a' handler { handler: 'h1' } }"),
                "rules[0].host: \"http://a\" has a scheme");
  EXPECT_EQ(Rules(), "old>h1 ");
  EXPECT_TRUE(Do(ApplySetOutboundByHosts,
                 "rules { host: 'B' handler { handler: 'h2' } }"
                 " rules { host: 'a' handler { handler: 'h1' } }")
                  .ok());
  EXPECT_EQ(Rules(), "b>h2 a>h1 ");
  EXPECT_TRUE(Do(ApplySetOutboundByHosts, "").ok());
  EXPECT_EQ(Rules(), "");
}

TEST_F(EditsTest, MessagesNameTheRequestsField) {
  ExpectMessage(Do(ApplySetOutboundByHost, "host: '' handler: 'h1'"),
                "host: a host pattern is empty");
  ExpectMessage(Do(ApplySetOutboundByHost, "host: 'a'"), "handler: is empty");
  ExpectMessage(
      Do(ApplySetOutboundByHost, "host: 'a' handler: 'h1' params { fields { key: 'k' value {} } }"),
      "params: has a value that is not set");
  ExpectMessage(Do(ApplyRemoveOutboundByHost, "host: 'a:1'"), "host: \"a:1\" has a port");
  ExpectMessage(Do(ApplySetAllowedHosts, "hosts: 'a' hosts: '.b'"), "hosts[1]: \".b\"");
  ExpectMessage(Do(ApplyAllowHost, "host: 'a b'"), "host: \"a b\" has white space");
  ExpectMessage(Do(ApplyRemoveDeniedHost, "host: '10.0.0.1/8'"), "host: host bits");
  ExpectMessage(Do(ApplyInterceptOutboundHttps, "target: '' handler: 'h1'"), "target:");
  ExpectMessage(Do(ApplyInterceptAllOutboundHttp, "target: 'a' handler: 'h1'"),
                "target: must be empty");
}

TEST_F(EditsTest, CatchAll) {
  EXPECT_TRUE(Do(ApplySetOutboundHandler,
                 "handler: 'h1' params { fields { key: 'k' value { bool_value: true } } }")
                  .ok());
  EXPECT_EQ(policy_.outbound().handler(), "h1");
  EXPECT_TRUE(policy_.outbound().params().fields().at("k").bool_value());
  EXPECT_TRUE(Do(ApplySetOutboundHandler, "handler: 'h2'").ok());
  EXPECT_FALSE(policy_.outbound().has_params());
  EXPECT_TRUE(Do(ApplyClearOutboundHandler, "").ok());
  EXPECT_TRUE(Do(ApplyClearOutboundHandler, "").ok());
  EXPECT_FALSE(policy_.has_outbound());
}

TEST_F(EditsTest, TheFirstAllowedHostMakesAListAndTheLastLeavesOne) {
  EXPECT_TRUE(Do(ApplyRemoveAllowedHost, "host: 'a'").ok());
  EXPECT_EQ(Allowed(), "-");
  EXPECT_FALSE(policy_.has_allowed_hosts());
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'A.'").ok());
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'a'").ok());
  EXPECT_EQ(Allowed(), "a ");
  EXPECT_TRUE(Do(ApplyRemoveAllowedHost, "host: 'a'").ok());
  EXPECT_EQ(Allowed(), "");
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'b'").ok());
  EXPECT_EQ(Allowed(), "b ");
  EXPECT_TRUE(Do(ApplyClearAllowedHosts, "").ok());
  EXPECT_EQ(Allowed(), "-");
}

TEST_F(EditsTest, EditsLetLaterChangesOfTheClassShowThrough) {
  GivenClass("allowed_hosts { hosts: 'a' hosts: 'b' }");
  EXPECT_TRUE(Do(ApplyRemoveAllowedHost, "host: 'a'").ok());
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'x'").ok());
  EXPECT_EQ(Allowed(), "b x ");
  GivenClass("allowed_hosts { hosts: 'a' hosts: 'c' }");
  EXPECT_EQ(Allowed(), "c x ");
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'a'").ok());
  EXPECT_EQ(Allowed(), "a c x ");
}

TEST_F(EditsTest, AReplacedListIsEditedItself) {
  GivenClass("allowed_hosts { hosts: 'a' }");
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'gone'").ok());
  EXPECT_TRUE(Do(ApplySetAllowedHosts, "hosts: 'b' hosts: 'B' hosts: 'c'").ok());
  EXPECT_EQ(Allowed(), "b c ");
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'd'").ok());
  EXPECT_TRUE(Do(ApplyRemoveAllowedHost, "host: 'b'").ok());
  EXPECT_EQ(Allowed(), "c d ");
  EXPECT_TRUE(Do(ApplySetAllowedHosts, "").ok());
  EXPECT_EQ(Allowed(), "");
  EXPECT_TRUE(Do(ApplyClearAllowedHosts, "").ok());
  EXPECT_EQ(Allowed(), "a ");
}

TEST_F(EditsTest, DeniedHostsAreTheOtherList) {
  GivenClass("denied_hosts { hosts: 'd' }");
  EXPECT_TRUE(Do(ApplyDenyHost, "host: 'x'").ok());
  EXPECT_TRUE(Do(ApplyRemoveDeniedHost, "host: 'd'").ok());
  EXPECT_TRUE(Do(ApplyRemoveDeniedHost, "host: 'absent'").ok());
  EXPECT_EQ(policy_.denied_hosts().added_size(), 1);
  EXPECT_EQ(policy_.denied_hosts().removed(0), "d");
  EXPECT_TRUE(Do(ApplySetDeniedHosts, "hosts: 'y'").ok());
  EXPECT_EQ(policy_.denied_hosts().replace().hosts(0), "y");
  EXPECT_TRUE(Do(ApplyClearDeniedHosts, "").ok());
  EXPECT_FALSE(policy_.has_denied_hosts());
  EXPECT_FALSE(policy_.has_allowed_hosts());
}

TEST_F(EditsTest, PatternsInAListAreBounded) {
  v1::HostsRequest request;
  for (int i = 0; i < kMaxPatterns; ++i) request.add_hosts("*.h" + std::to_string(i));
  const PolicyContext context{class_, handlers_};
  ASSERT_TRUE(ApplySetAllowedHosts(context, request, &policy_).ok());
  EXPECT_TRUE(Do(ApplyAllowHost, "host: '*.h1'").ok());
  EXPECT_TRUE(Do(ApplyAllowHost, "host: 'exact.test'").ok());
  ExpectMessage(Do(ApplyAllowHost, "host: '*.one.more'"), "host: has more than 1000");
}

TEST_F(EditsTest, EnableInternet) {
  EXPECT_TRUE(Do(ApplySetEnableInternet, "enable_internet: false").ok());
  EXPECT_TRUE(policy_.has_enable_internet());
  EXPECT_FALSE(policy_.enable_internet());
  EXPECT_TRUE(Do(ApplySetEnableInternet, "").ok());
  EXPECT_FALSE(policy_.has_enable_internet());
}

TEST_F(EditsTest, LowLevelRules) {
  EXPECT_TRUE(Do(ApplyInterceptAllOutboundHttp, "handler: 'h1'").ok());
  EXPECT_TRUE(Do(ApplyInterceptOutboundHttps, "target: '*' handler: 'h1'").ok());
  EXPECT_TRUE(Do(ApplyInterceptOutboundHttp, "target: '10.0.0.0/8' handler: 'h1'").ok());
  EXPECT_TRUE(Do(ApplyInterceptOutboundHttp, "target: '*' handler: 'h2'").ok());
  ASSERT_EQ(policy_.intercepts_size(), 3);
  EXPECT_EQ(policy_.intercepts(0).handler().handler(), "h2");
  EXPECT_TRUE(Do(ApplyRemoveInterceptAllOutboundHttp, "").ok());
  EXPECT_TRUE(Do(ApplyRemoveInterceptOutboundHttp, "host: '*'").ok());
  ASSERT_EQ(policy_.intercepts_size(), 2);
  EXPECT_TRUE(Do(ApplyRemoveInterceptOutboundHttps, "host: '**'").ok());
  EXPECT_TRUE(Do(ApplyRemoveInterceptOutboundHttp, "host: '10.0.0.0/8'").ok());
  EXPECT_EQ(policy_.intercepts_size(), 0);
}

}  // namespace
}  // namespace sallyport
