#include "common/cases/play.h"

#include <gtest/gtest.h>

#include <string>

#include "common/cases/case_reader.h"

namespace sallyport::cases {
namespace {

Played PlayText(const std::string& class_fields, const std::string& steps,
                const std::string& request, const std::string& expect) {
  CaseReader reader("f", R"({"id": "A", "class": {)" + class_fields + R"(}, "steps": [)" + steps +
                             R"(], "request": {"dst": "203.0.113.10", )" + request +
                             R"(}, "expect": {)" + expect + "}}");
  const auto next = reader.Next();
  EXPECT_TRUE(next.ok()) << next.status();
  return next.ok() ? Play(**next) : Played();
}
std::string Differences(const Played& played) {
  std::string text;
  for (const std::string& difference : played.differences) text += difference + "; ";
  return text + played.why;
}

const char kHttp[] = R"("scheme": "http", "host": "a.com")";
const char kHttps[] = R"("scheme": "https", "host": "a.com")";

TEST(PlayTest, SaysWhatDiffersAndWhichStepDecided) {
  EXPECT_EQ(
      Differences(PlayText(R"("denied_hosts": ["*.com"])", "", kHttp, R"("outcome": "egress")")),
      "expected outcome egress, got deny; step 1 (denied_hosts) decided: denies, by class "
      "denied_hosts *.com");
  EXPECT_EQ(Differences(PlayText("", R"(["SetOutboundByHost", "a.com", "h"])", kHttp,
                                 R"("outcome": "handler", "handler": "g")")),
            "expected handler g, got h; step 3 (instance outbound_by_host) decided: goes to a "
            "handler, by instance outbound_by_host a.com");
  EXPECT_EQ(Differences(PlayText("", "", kHttps, R"("outcome": "egress")")),
            "expected outcome egress, got relay; step 8 (enable_internet) decided: lets it out, by "
            "enable_internet; not decrypted");
}

TEST(PlayTest, WhatHoldsDiffersInNothing) {
  EXPECT_EQ(Differences(PlayText("", "", kHttp, R"("outcome": "egress")")), "");
  EXPECT_EQ(
      Differences(PlayText(R"("deny_response": {"status": 451}, "denied_hosts": ["a.com"])", "",
                           kHttp, R"("outcome": "deny", "status": 451, "reason": "denied_host")")),
      "");
  EXPECT_EQ(Differences(PlayText(R"("monitor": true, "denied_hosts": ["a.com"])", "", kHttp,
                                 R"("outcome": "egress")")),
            "");
  EXPECT_EQ(Differences(PlayText("", R"(["SetOutboundHandler", "h", {"k": "v"}])", kHttp,
                                 R"("outcome": "handler", "handler": "h", "params": {"k": "v"})")),
            "");
}

TEST(PlayTest, BytesThatAreNeitherAreRefusedOnSniffedPorts) {
  EXPECT_EQ(Differences(
                PlayText("", "", R"("scheme": "tcp", "port": 80)", R"("outcome": "bad_request")")),
            "");
  EXPECT_EQ(
      Differences(PlayText("", "", R"("scheme": "tcp", "port": 5432)", R"("outcome": "relay")")),
      "");
}

TEST(PlayTest, NamesThatDiffer) {
  EXPECT_EQ(Differences(PlayText(R"("intercept_https": true, "denied_hosts": [])", "",
                                 R"("scheme": "https", "host": "a.com", "sni": "b.com")",
                                 R"("outcome": "misdirected", "status": 421)")),
            "");
}

TEST(PlayTest, RefusedClassesAndCalls) {
  const Played refused =
      PlayText(R"("denied_hosts": [".a.com"])", "", kHttp, R"("outcome": "egress")");
  EXPECT_EQ(refused.differences[0], "expected outcome egress, got class_rejected");
  EXPECT_NE(refused.why.find("denied_hosts[0]"), std::string::npos) << refused.why;
  EXPECT_TRUE(PlayText("", R"(["AllowHost", "b.com"], ["SetOutboundHandler", "nope"])", kHttp,
                       R"("outcome": "rpc_rejected", "step": 1, "code": "NOT_FOUND")")
                  .differences.empty());
  EXPECT_EQ(PlayText("", R"(["SetOutboundHandler", "nope"])", kHttp,
                     R"("outcome": "rpc_rejected", "step": 1, "code": "NOT_FOUND")")
                .differences[0],
            "expected step 1, got 0");
}

TEST(PlayTest, ClassesMayChange) {
  EXPECT_EQ(Differences(PlayText("", R"(["ApplyClass", {"denied_hosts": ["a.com"]}])", kHttp,
                                 R"("outcome": "deny", "reason": "denied_host")")),
            "");
}

}  // namespace
}  // namespace sallyport::cases
