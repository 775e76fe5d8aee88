#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "agent/proxy/builtin/rates.h"
#include "agent/proxy/builtin/secret_table.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

constexpr RateLimiter::Time kStart{std::chrono::hours(1)};

TEST(BuiltinRatesTest, LetsABurstThroughAndThenTheRate) {
  BuiltinRates rates;
  const BuiltinSpec::Rate rate{10, 3};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rates.Take("h", rate, kStart), std::nullopt);
  EXPECT_EQ(rates.Take("h", rate, kStart), milliseconds(100));
  EXPECT_EQ(rates.Take("h", rate, kStart + milliseconds(40)), milliseconds(60));
  EXPECT_EQ(rates.Take("h", rate, kStart + milliseconds(100)), std::nullopt);
  EXPECT_EQ(rates.Take("h", rate, kStart + milliseconds(100)), milliseconds(100));
}

TEST(BuiltinRatesTest, EachHandlerHasItsOwnAndAChangedRateBeginsAnew) {
  BuiltinRates rates;
  const BuiltinSpec::Rate slow{0.5, 1};
  EXPECT_EQ(rates.Take("a", slow, kStart), std::nullopt);
  EXPECT_EQ(rates.Take("a", slow, kStart), std::chrono::seconds(2));
  EXPECT_EQ(rates.Take("b", slow, kStart), std::nullopt);
  EXPECT_EQ(rates.Take("a", {1, 1}, kStart), std::nullopt);
  EXPECT_EQ(rates.Take("a", {1, 1}, kStart), std::chrono::seconds(1));
}

TEST(SecretTableTest, TakesValuesOutOfTheMessage) {
  internal::SecretValues values;
  internal::SecretValues::Entry* const good = values.add_entries();
  good->mutable_reference()->set_env("TOKEN");
  good->set_value("hunter2");
  internal::SecretValues::Entry* const bad = values.add_entries();
  bad->mutable_reference()->set_file("gh");
  bad->set_problem("is empty");
  const auto table = SecretTable::Take(&values);
  EXPECT_EQ(values.SerializeAsString().find("hunter2"), std::string::npos);
  ASSERT_NE(table->Find("env TOKEN"), nullptr);
  EXPECT_EQ(table->Find("env TOKEN")->value, "hunter2");
  EXPECT_EQ(table->Find("file gh")->problem, "is empty");
  EXPECT_EQ(table->Find("secret TOKEN"), nullptr);
}

}  // namespace
}  // namespace sallyport::proxy
