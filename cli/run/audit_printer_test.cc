#include "cli/run/audit_printer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace sallyport::cli {
namespace {

struct FormatCase {
  std::string name;
  std::string json;
  std::string text;  // After the time.
};

class FormatTest : public testing::TestWithParam<FormatCase> {};

TEST_P(FormatTest, ReadsWell) {
  const std::string line = FormatAuditLine(GetParam().json);
  ASSERT_GT(line.size(), 14u);
  EXPECT_EQ(line.substr(14), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    All, FormatTest,
    testing::Values(
        FormatCase{
            "egress",
            R"({"time":"2026-01-02T03:04:05.678Z","decision":"egress","method":"GET","scheme":"https","host":"a.test","port":443,"path":"/x","status":200,"durationUs":41200})",
            "egress  GET  https://a.test/x   200   41 ms"},
        FormatCase{
            "deny",
            R"({"time":"2026-01-02T03:04:05.678Z","decision":"deny","method":"GET","scheme":"http","host":"b.test","port":80,"path":"/","status":520,"reason":"not_allowed","durationUs":90})",
            "deny    GET  http://b.test/   520          not_allowed"},
        FormatCase{
            "handler",
            R"({"time":"2026-01-02T03:04:05.678Z","decision":"handler","method":"POST","scheme":"https","host":"c.test","port":8443,"path":"/q","status":201,"handler":"gh","durationUs":1500})",
            "handler POST https://c.test:8443/q   201    2 ms  gh"},
        FormatCase{
            "relay",
            R"({"time":"2026-01-02T03:04:05.678Z","decision":"relay","scheme":"tls","host":"d.test","port":443,"durationUs":400})",
            "relay        tls d.test:443          0 ms"}),
    [](const auto& info) { return info.param.name; });

TEST(FormatAuditLineTest, WhatIsNoRecordIsLeftAlone) {
  EXPECT_EQ(FormatAuditLine("hello"), "hello");
}

TEST(AuditPrinterTest, EverythingWrittenIsInTheFileAfterDrain) {
  char path[] = "/tmp/audit-printer-XXXXXX";
  close(mkstemp(path));
  auto printer = AuditPrinter::Start(AuditPrinter::Print::kNothing, path);
  ASSERT_TRUE(printer.ok()) << printer.status();
  const int writer = open((*printer)->path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  (*printer)->AgentHasIt();
  const std::string lines = "{\"a\":1}\n{\"b\":2}\n";
  ASSERT_EQ(write(writer, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  close(writer);
  (*printer)->Drain();
  std::ifstream file(path);
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>()),
            lines);
  unlink(path);
}

}  // namespace
}  // namespace sallyport::cli
