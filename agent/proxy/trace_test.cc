#include "agent/proxy/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sallyport::proxy {
namespace {

constexpr std::string_view kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

Headers With(std::string_view traceparent) {
  Headers headers;
  headers.Add("Traceparent", traceparent);
  return headers;
}

TEST(TraceId, IsThatOfALegalTraceparent) {
  EXPECT_EQ(TraceId(With("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")), kTrace);
  EXPECT_EQ(TraceId(With("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")), kTrace);
  EXPECT_EQ(TraceId(With("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")), kTrace);
}

TEST(TraceId, IsEmptyOfAnythingElse) {
  EXPECT_EQ(TraceId(Headers()), "");
  for (const std::string_view value :
       {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01"}) {
    EXPECT_EQ(TraceId(With(value)), "") << value;
  }
  Headers twice = With("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  twice.Add("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(TraceId(twice), "");
}

TEST(StartTrace, GivesEachRequestATraceOfItsOwn) {
  Headers one;
  Headers other;
  StartTrace(&one);
  StartTrace(&other);
  EXPECT_THAT(*one.Find("traceparent"), testing::MatchesRegex("00-[0-9a-f]+-[0-9a-f]+-01"));
  EXPECT_EQ(TraceId(one).size(), 32u);
  EXPECT_NE(TraceId(one), TraceId(other));
}

TEST(StartTrace, LeavesWhatIsThere) {
  for (const std::string_view value :
       {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "not legal"}) {
    Headers headers = With(value);
    StartTrace(&headers);
    EXPECT_EQ(headers.Count("traceparent"), 1u);
    EXPECT_EQ(*headers.Find("traceparent"), value);
  }
}

}  // namespace
}  // namespace sallyport::proxy
