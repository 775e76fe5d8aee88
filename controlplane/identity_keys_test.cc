#include "controlplane/identity_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/pki/token_key.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Time = std::chrono::system_clock::time_point;
using Json = nlohmann::json;

// Keys by letters.
v1::IdentityKeys::Key Key(char letter, Time not_after) {
  v1::IdentityKeys::Key key;
  key.set_public_key(std::string(pki::kEd25519KeyBytes, letter));
  key.set_id(pki::KeyIdOf(key.public_key()));
  key.mutable_not_after()->set_seconds(std::chrono::system_clock::to_time_t(not_after));
  return key;
}

v1::IdentityKeys Keys(const std::string& letters, Time not_after) {
  v1::IdentityKeys keys;
  for (const char letter : letters) *keys.add_keys() = Key(letter, not_after);
  return keys;
}

// "host letter", in the order of the set.
std::vector<std::string> Published(const Json& jwks) {
  std::vector<std::string> published;
  for (const Json& key : jwks.at("keys")) {
    for (char letter = 'a'; letter <= 'z'; ++letter) {
      if (key.at("kid") == pki::KeyIdOf(std::string(pki::kEd25519KeyBytes, letter)))
        published.push_back(key.at("host").get<std::string>() + " " + letter);
    }
  }
  return published;
}

class IdentityKeysTest : public testing::Test {
 protected:
  absl::Status Announce(const std::string& host, const v1::IdentityKeys& keys) {
    Transaction transaction(state_);
    const absl::Status status = AnnounceIdentityKeys(host, keys, now_, &transaction);
    if (status.ok()) state_ = transaction.Result();
    changes_ = transaction.changes().size();
    return status;
  }
  std::vector<std::string> Published() const {
    return sallyport::Published(Json::parse(IdentityJwks(state_, now_)));
  }

  Time now_ = std::chrono::system_clock::from_time_t(1'800'000'000);
  State state_;
  size_t changes_ = 0;
};

TEST_F(IdentityKeysTest, AreAJwkSet) {
  EXPECT_EQ(IdentityJwks(state_, now_), R"({"keys":[]})");
  ASSERT_TRUE(Announce("host-7", Keys("a", now_ + hours(1))).ok());
  const Json key = Json::parse(IdentityJwks(state_, now_)).at("keys").at(0);
  EXPECT_EQ(key, (Json{{"kty", "OKP"},
                       {"crv", "Ed25519"},
                       {"alg", "EdDSA"},
                       {"use", "sig"},
                       {"kid", pki::KeyIdOf(std::string(pki::kEd25519KeyBytes, 'a'))},
                       {"x", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE"},
                       {"host", "host-7"}}));
}

TEST_F(IdentityKeysTest, WhatWasReplacedStaysWhileATokenMayHold) {
  ASSERT_TRUE(Announce("host-7", Keys("ab", now_ + hours(24))).ok());
  ASSERT_TRUE(Announce("host-8", Keys("c", now_ + hours(24))).ok());
  now_ += hours(1);
  // The agent was started anew.
  ASSERT_TRUE(Announce("host-7", Keys("xy", now_ + hours(24))).ok());
  EXPECT_THAT(Published(),
              UnorderedElementsAre("host-7 x", "host-7 y", "host-7 a", "host-7 b", "host-8 c"));
  now_ += minutes(30);
  ASSERT_TRUE(Announce("host-7", Keys("xy", now_ + hours(24))).ok());
  now_ += pki::kTokenAfterlife - minutes(30);
  EXPECT_THAT(Published(), UnorderedElementsAre("host-7 x", "host-7 y", "host-8 c"))
      << "announcing again does not lengthen what is over";
}

TEST_F(IdentityKeysTest, KeysOfDeadAgentsEnd) {
  ASSERT_TRUE(Announce("host-7", Keys("a", now_ + hours(2))).ok());
  now_ += hours(2) - seconds(1);
  EXPECT_THAT(Published(), ElementsAre("host-7 a"));
  now_ += seconds(1);
  EXPECT_THAT(Published(), IsEmpty());
  ASSERT_TRUE(Announce("host-8", Keys("b", now_ + hours(2))).ok());
  EXPECT_EQ(state_.identity_keys.Find("host-7"), nullptr);
}

TEST_F(IdentityKeysTest, NoAgentsWordLastsForEver) {
  ASSERT_TRUE(Announce("host-7", Keys("a", now_ + hours(24 * 365))).ok());
  now_ += kMaxIdentityKeyLife;
  EXPECT_THAT(Published(), IsEmpty());
}

TEST_F(IdentityKeysTest, AreBounded) {
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    now_ += seconds(1);
    ASSERT_TRUE(Announce("host-7", Keys(std::string(1, letter), now_ + hours(24))).ok());
  }
  const std::vector<std::string> published = Published();
  EXPECT_EQ(published.size(), static_cast<size_t>(kMaxIdentityKeys));
  EXPECT_EQ(published.front(), "host-7 z");
  EXPECT_EQ(published.back(), "host-7 k") << "the first to end made room";
}

TEST_F(IdentityKeysTest, TheSameAgainChangesNothing) {
  const v1::IdentityKeys keys = Keys("ab", now_ + hours(24));
  ASSERT_TRUE(Announce("host-7", keys).ok());
  EXPECT_EQ(changes_, 1u);
  now_ += minutes(1);
  ASSERT_TRUE(Announce("host-7", keys).ok());
  EXPECT_EQ(changes_, 0u);
  EXPECT_EQ(state_.revision, 0u) << "it is no policy";
}

TEST_F(IdentityKeysTest, KeysAreCalledByTheirThumbprints) {
  v1::IdentityKeys named = Keys("a", now_ + hours(1));
  named.mutable_keys(0)->set_id(Key('b', now_).id());
  v1::IdentityKeys short_key = Keys("a", now_ + hours(1));
  short_key.mutable_keys(0)->set_public_key("short");
  short_key.mutable_keys(0)->set_id(pki::KeyIdOf("short"));
  for (const v1::IdentityKeys& keys :
       {named, short_key, Keys("abcdefghijklmnopq", now_ + hours(1))}) {
    EXPECT_EQ(Announce("host-7", keys).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(Published(), IsEmpty());
}

// Over real sockets, with the real store.
class IdentityKeysCallTest : public testing::Test {
 protected:
  static v1::Hello Hello(const std::string& host, const std::string& letters) {
    v1::Hello hello = FakeAgent::Hello(host);
    *hello.mutable_identity_keys() = Keys(letters, std::chrono::system_clock::now() + hours(24));
    return hello;
  }
  std::vector<std::string> Published() {
    v1::GetIdentityKeysResponse response;
    EXPECT_TRUE(
        Call(server_.registry(), &v1::HandlerRegistry::Stub::GetIdentityKeys, {}, &response).ok());
    return sallyport::Published(Json::parse(response.jwks()));
  }

  TestServer server_;
};

TEST_F(IdentityKeysCallTest, ArePublishedWhenTheHelloIsAnswered) {
  FakeAgent agent(server_.channel(), Hello("host-7", "ab"), FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  EXPECT_THAT(Published(), UnorderedElementsAre("host-7 a", "host-7 b"));
}

TEST_F(IdentityKeysCallTest, OutliveTheControlPlaneAndTheAgent) {
  {
    FakeAgent agent(server_.channel(), Hello("host-7", "ab"), FakeAgent::Acks::kAtOnce);
    ASSERT_TRUE(agent.NextDelta().has_value());
  }
  server_.Restart();
  EXPECT_THAT(Published(), UnorderedElementsAre("host-7 a", "host-7 b"));
  FakeAgent next(server_.channel(), Hello("host-7", "xy"), FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(next.NextDelta().has_value());
  EXPECT_THAT(Published(), UnorderedElementsAre("host-7 x", "host-7 y", "host-7 a", "host-7 b"));
}

TEST_F(IdentityKeysCallTest, ChangeOnAStreamThatLives) {
  server_.ApplyClass("web");
  FakeAgent agent(server_.channel(), Hello("host-7", "ab"), FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  agent.Announce(Keys("bc", std::chrono::system_clock::now() + hours(24)));
  // Messages take effect in order.
  agent.Attach("web-1", "web");
  ASSERT_TRUE(agent.NextAttachResult().has_value());
  EXPECT_THAT(Published(), UnorderedElementsAre("host-7 a", "host-7 b", "host-7 c"));
}

TEST_F(IdentityKeysCallTest, AnAgentOfBeforeAnnouncesNone) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7"), FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  EXPECT_THAT(Published(), IsEmpty());
}

TEST_F(IdentityKeysCallTest, WhatIsNoKeyEndsTheStream) {
  v1::Hello hello = Hello("host-7", "a");
  hello.mutable_identity_keys()->mutable_keys(0)->set_id("of-another");
  FakeAgent agent(server_.channel(), hello, FakeAgent::Acks::kAtOnce);
  const grpc::Status end = agent.WaitForEnd();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(end.error_message(), HasSubstr("thumbprint"));
  EXPECT_THAT(Published(), IsEmpty());
}

}  // namespace
}  // namespace sallyport
