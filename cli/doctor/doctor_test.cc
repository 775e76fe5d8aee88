#include <string>

#include "cli/doctor/host.h"
#include "cli/doctor/run_program.h"
#include "cli/doctor/runtimes.h"
#include "gtest/gtest.h"

namespace sallyport::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(DoctorTest, KernelsAreOldOrNewEnough) {
  for (const char* good : {"5.13.0", "6.1.0-37-amd64", "10.0", "5.10.0-30-amd64"})
    EXPECT_TRUE(CheckKernel(good).good) << good;
  for (const char* bad : {"5.8.18", "4.19.0-27-amd64", "", "x"}) {
    EXPECT_FALSE(CheckKernel(bad).good) << bad;
    EXPECT_NE(CheckKernel(bad).advice, "") << bad;
  }
  EXPECT_NE(CheckKernel("5.10.0").detail.find("without Landlock"), std::string::npos);
}

TEST(DoctorTest, UrlsAreTakenApart) {
  const auto url = ParseCheckUrl("https://api.example.com:8443/a?b=c");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->host, "api.example.com");
  EXPECT_EQ(url->port, "8443");
  EXPECT_EQ(ParseCheckUrl("https://example.com")->port, "443");
  for (const char* bad :
       {"", "http://example.com/", "https://", "https:///x", "https://a@b/", "https://a:/",
        "https://a:1x/", "https://a/\"+exit", "https://a/'", "https://a/$(id)", "https://a/ b"}) {
    EXPECT_FALSE(ParseCheckUrl(bad).ok()) << bad;
  }
}

TEST(DoctorTest, ProgramsEndOrAreEnded) {
  auto end = RunProgram({"sh", "-c", "echo out; echo err >&2; exit 3"}, seconds(20));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->status, 3);
  EXPECT_EQ(end->output, "out\nerr\n");
  EXPECT_EQ(RunProgram({"sh", "-c", "kill -TERM $$"}, seconds(20))->status, 128 + 15);
  EXPECT_EQ(RunProgram({"/no/such/program"}, seconds(20))->status, 127);
  // What it has started holds its output open.
  end = RunProgram({"sh", "-c", "sleep 600 & sleep 600"}, milliseconds(100));
  EXPECT_EQ(end.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(DoctorTest, OutputIsBounded) {
  const auto end = RunProgram({"head", "-c", "1000000", "/dev/zero"}, seconds(20));
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_EQ(end->output.size(), 65536u);
}

TEST(DoctorTest, ProgramsAreLookedForInPath) {
  EXPECT_TRUE(HasProgram("sh"));
  EXPECT_FALSE(HasProgram("no-such-program"));
}

}  // namespace
}  // namespace sallyport::cli
