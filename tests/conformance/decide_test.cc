// Every case by the decision engine alone: no sockets, no TLS, no control plane.

#include <gtest/gtest.h>

#include <string>

#include "common/cases/case_reader.h"
#include "common/cases/play.h"

namespace sallyport::cases {
namespace {

void ExpectAllHold(const std::string& path, size_t at_least) {
  const auto cases = LoadCases(path);
  ASSERT_TRUE(cases.ok()) << cases.status();
  EXPECT_GE(cases->size(), at_least);
  for (const Case& c : *cases) {
    const Played played = Play(c);
    for (const std::string& difference : played.differences) {
      ADD_FAILURE() << path << ":" << c.line << ": case " << c.id << ": " << difference << "; "
                    << played.why;
    }
  }
}

TEST(ConformanceTest, DecisionEngine) { ExpectAllHold("tests/conformance/cases.json", 100); }

TEST(ConformanceTest, WhatTheCasesAboveLeaveOut) {
  ExpectAllHold("tests/conformance/more_cases.json", 100);
}

TEST(ConformanceTest, ClassesThatChange) {
  ExpectAllHold("tests/conformance/class_change_cases.json", 10);
}

TEST(ConformanceTest, TheExample) { ExpectAllHold("examples/policy_cases.json", 5); }

}  // namespace
}  // namespace sallyport::cases
