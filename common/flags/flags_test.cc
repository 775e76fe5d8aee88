#include "common/flags/flags.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using testing::Test;

class FlagsTest : public Test {
 protected:
  FlagsTest() {
    flags_.String("state-dir", &state_dir_, "DIR", "Where the store lives.");
    flags_.StringList("listen", &listen_, "ADDRESS", "Where to listen.");
    flags_.Bool("verbose", &verbose_, "Says more.");
    flags_.Optional("check", &check_, "NAME", "Looks.");
    flags_.Int("port", &port_, 1, 65535, "PORT", "The port.");
    flags_.Duration("timeout", &timeout_, "TIME", "How long.");
    flags_.set_version("prog 1");
    flags_.set_example("prog --verbose");
  }
  std::string Error(const std::vector<std::string>& arguments) {
    const auto parsed = flags_.Parse(arguments);
    return parsed.ok() ? "" : std::string(parsed.status().message());
  }

  std::string state_dir_ = "/var/lib/prog";
  std::vector<std::string> listen_ = {"unix:/default"};
  bool verbose_ = false;
  std::optional<std::string> check_;
  int64_t port_ = 80;
  milliseconds timeout_ = milliseconds(5000);
  FlagSet flags_{"prog", "Does things."};
};

TEST_F(FlagsTest, NothingGivenKeepsDefaults) {
  EXPECT_EQ(Error({}), "");
  EXPECT_EQ(state_dir_, "/var/lib/prog");
  EXPECT_EQ(listen_, std::vector<std::string>{"unix:/default"});
}

TEST_F(FlagsTest, BothWaysToGiveAValue) {
  EXPECT_EQ(Error({"--state-dir", "/a", "--port=8080"}), "");
  EXPECT_EQ(state_dir_, "/a");
  EXPECT_EQ(port_, 8080);
}

TEST_F(FlagsTest, ValueMayBeEmptyOrHoldEquals) {
  EXPECT_EQ(Error({"--state-dir=", "--listen=a=b"}), "");
  EXPECT_EQ(state_dir_, "");
  EXPECT_EQ(listen_, std::vector<std::string>{"a=b"});
}

TEST_F(FlagsTest, RepeatedListReplacesTheDefault) {
  EXPECT_EQ(Error({"--listen", "a", "--listen", "b"}), "");
  EXPECT_EQ(listen_, (std::vector<std::string>{"a", "b"}));
}

TEST_F(FlagsTest, OptionalValues) {
  EXPECT_EQ(Error({"--verbose"}), "");
  EXPECT_EQ(check_, std::nullopt);
  EXPECT_EQ(Error({"--check"}), "");
  EXPECT_EQ(check_, "");
  EXPECT_EQ(Error({"--check=a"}), "");
  EXPECT_EQ(check_, "a");
  EXPECT_NE(Error({"--check", "a"}), "") << "the next argument is never its value";
  EXPECT_NE(flags_.Help().find("--check[=NAME]"), std::string::npos);
}

TEST_F(FlagsTest, Booleans) {
  EXPECT_EQ(Error({"--verbose"}), "");
  EXPECT_TRUE(verbose_);
  EXPECT_EQ(Error({"--verbose=false"}), "");
  EXPECT_FALSE(verbose_);
}

TEST_F(FlagsTest, Durations) {
  const std::pair<std::string, int64_t> cases[] = {
      {"250ms", 250}, {"5s", 5000}, {"2m", 120000}, {"1h", 3600000}, {"0", 0}};
  for (const auto& [text, ms] : cases) {
    EXPECT_EQ(Error({"--timeout", text}), "") << text;
    EXPECT_EQ(timeout_.count(), ms) << text;
  }
  for (const std::string text : {"", "5", "-1s", "5 s", "s", "9999999999s"}) {
    EXPECT_NE(Error({"--timeout", text}), "") << text;
  }
}

TEST_F(FlagsTest, ErrorsSayWhatToWrite) {
  EXPECT_EQ(Error({"--state-dri=/a"}), "there is no flag --state-dri; did you mean --state-dir?");
  EXPECT_EQ(Error({"--banana"}), "there is no flag --banana");
  EXPECT_EQ(Error({"--state-dir"}), "--state-dir needs a value: --state-dir DIR");
  EXPECT_EQ(Error({"--port=0"}), "--port takes a number from 1 to 65535, not \"0\"");
  EXPECT_EQ(Error({"-v"}), "flags are written with two dashes, not \"-v\"");
  EXPECT_EQ(Error({"stray"}), "\"stray\" is not a flag, and no other arguments are taken");
  EXPECT_EQ(
      Error({"--verbose=yes"}),
      "--verbose is given as --verbose, --verbose=true or --verbose=false, not with the value "
      "\"yes\"");
}

TEST_F(FlagsTest, HelpAndVersionWinOverLaterErrors) {
  EXPECT_TRUE(flags_.Parse({"--help", "--banana"})->help);
  EXPECT_TRUE(flags_.Parse({"-h"})->help);
  EXPECT_TRUE(flags_.Parse({"--version"})->version);
}

TEST_F(FlagsTest, HelpNamesFlagsDefaultsAndExample) {
  const std::string help = flags_.Help();
  for (const char* part : {"Usage: prog [FLAGS]", "--state-dir DIR", "(default: /var/lib/prog)",
                           "(default: 5s)", "--version", "Example:\n  prog --verbose"}) {
    EXPECT_NE(help.find(part), std::string::npos) << part << "\n" << help;
  }
}

TEST(FlagsPositionalTest, AnywhereOrAfterTwoDashes) {
  bool json = false;
  FlagSet flags("prog", "", Positional::kAnywhere);
  flags.Bool("json", &json, "");
  const auto parsed = flags.Parse({"a", "--json", "b", "--", "--c"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->positional, (std::vector<std::string>{"a", "b", "--c"}));
  EXPECT_TRUE(json);
}

TEST(FlagsPositionalTest, StopsAtTheFirst) {
  bool json = false;
  FlagSet flags("prog run", "", Positional::kStopsAtTheFirst);
  flags.Bool("json", &json, "");
  const auto parsed = flags.Parse({"npm", "--json"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->positional, (std::vector<std::string>{"npm", "--json"}));
  EXPECT_FALSE(json);
}

}  // namespace
}  // namespace sallyport
