#include "agent/proxy/dns/failures.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

class DnsFailuresTest : public testing::Test {
 protected:
  void Store(const std::string& name, SteadyTime now, std::string message = "refused") {
    failures_.Store(*Host::Parse(name), DnsType::kA, absl::UnavailableError(message), now);
  }
  std::string Find(const std::string& name, SteadyTime now, DnsType type = DnsType::kA) {
    const std::optional<absl::Status> found = failures_.Find(*Host::Parse(name), type, now);
    return found.has_value() ? std::string(found->message()) : "nothing";
  }

  const SteadyTime start_ = std::chrono::steady_clock::now();
  DnsFailures failures_;
};

TEST_F(DnsFailuresTest, AreKeptForASecond) {
  EXPECT_EQ(Find("a.test", start_), "nothing");
  Store("a.test", start_);
  EXPECT_EQ(Find("a.test", start_), "refused");
  EXPECT_EQ(Find("a.test", start_ + milliseconds(999)), "refused");
  EXPECT_EQ(Find("a.test", start_ + milliseconds(1000)), "nothing");
  EXPECT_EQ(Find("a.test", start_, DnsType::kAaaa), "nothing");
  EXPECT_EQ(Find("b.test", start_), "nothing");
}

TEST_F(DnsFailuresTest, ALaterOneCountsFromThen) {
  Store("a.test", start_);
  Store("b.test", start_ + milliseconds(500));
  Store("a.test", start_ + milliseconds(500), "too early to be one");
  EXPECT_EQ(Find("a.test", start_ + milliseconds(999)), "refused");
  Store("a.test", start_ + milliseconds(1000), "again");
  EXPECT_EQ(Find("a.test", start_ + milliseconds(1999)), "again");
  EXPECT_EQ(Find("b.test", start_ + milliseconds(1499)), "refused");
}

TEST_F(DnsFailuresTest, WorkersMayComeInAnotherOrder) {
  Store("a.test", start_ + milliseconds(10));
  Store("b.test", start_);
  Store("b.test", start_ + milliseconds(1005), "again");
  EXPECT_EQ(Find("b.test", start_ + milliseconds(1005)), "refused");
  Store("b.test", start_ + milliseconds(1010), "again");
  EXPECT_EQ(Find("b.test", start_ + milliseconds(2009)), "again");
  Store("c.test", start_ + milliseconds(3000));
  EXPECT_EQ(Find("b.test", start_ + milliseconds(3000)), "nothing");
  EXPECT_EQ(Find("c.test", start_ + milliseconds(3000)), "refused");
}

TEST_F(DnsFailuresTest, TheOldestMakesRoom) {
  for (size_t i = 0; i <= DnsFailures::kMaxKept; ++i) Store("n" + std::to_string(i), start_);
  EXPECT_EQ(Find("n0", start_), "nothing");
  EXPECT_EQ(Find("n1", start_), "refused");
  EXPECT_EQ(Find("n" + std::to_string(DnsFailures::kMaxKept), start_), "refused");
}

}  // namespace
}  // namespace sallyport::proxy
