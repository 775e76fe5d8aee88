#include "agent/config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Config Good() {
  Config config;
  config.host_name = "host-7";
  config.proxy_binary = "/bin/true";
  config.proxy_user = "nobody";
  config.audit = "/var/log/audit.jsonl";
  return config;
}

// The message, "" for OK.
std::string Check(const Config& config) { return std::string(CheckConfig(config).message()); }

TEST(ConfigTest, TakesTheDefaults) { EXPECT_EQ(Check(Good()), ""); }

TEST(ConfigTest, PolicyDoesNotTravelInTheClear) {
  for (const char* good : {"unix:/run/x.sock", "127.0.0.1:7443", "[::1]:7443", "localhost:7443"}) {
    Config config = Good();
    config.control_plane = good;
    EXPECT_EQ(Check(config), "") << good;
  }
  for (const char* bad :
       {"", "cp.internal:7443", "192.0.2.1:7443", "127.0.0.1.evil.test:1", "unix:x.sock"}) {
    Config config = Good();
    config.control_plane = bad;
    EXPECT_THAT(Check(config), HasSubstr("--control-plane")) << bad;
  }
}

TEST(ConfigTest, WithTlsTheControlPlaneMayBeAnywhere) {
  for (const char* good : {"cp.internal:7443", "192.0.2.1:7443", "[2001:db8::1]:7443",
                           "127.0.0.1:7443", "unix:/run/x.sock"}) {
    Config config = Good();
    config.tls_dir = "/etc/sallyport/tls";
    config.control_plane = good;
    EXPECT_EQ(Check(config), "") << good;
  }
  for (const char* bad : {"", "cp.internal", "cp.internal:", ":7443", "https://cp.internal:7443",
                          "dns:///cp.internal:7443", "cp.internal:https"}) {
    Config config = Good();
    config.tls_dir = "/etc/sallyport/tls";
    config.control_plane = bad;
    EXPECT_THAT(Check(config), HasSubstr("--control-plane")) << bad;
  }
}

TEST(ConfigTest, HandlersSocketsAreBelowDirectories) {
  Config config = Good();
  config.handler_socket_dirs = {"/run/h", "/srv/handlers"};
  EXPECT_EQ(Check(config), "");
  for (const char* bad : {"", "/", "run/h", "/run/h/"}) {
    config.handler_socket_dirs = {bad};
    EXPECT_THAT(Check(config), HasSubstr("--handler-socket-dir")) << bad;
  }
}

TEST(ConfigTest, ResolversAreAddresses) {
  for (const char* good :
       {"192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:53", "[::1]"}) {
    Config config = Good();
    config.resolvers = {good};
    EXPECT_EQ(Check(config), "") << good;
  }
  for (const char* bad : {"", "dns.test", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536",
                          "192.0.2.53:+1", "[2001:db8::53", "2001:db8::53%eth0"}) {
    Config config = Good();
    config.resolvers = {bad};
    EXPECT_THAT(Check(config), HasSubstr("--resolver")) << bad;
  }
}

TEST(ConfigTest, NamesTheFlagThatIsWrong) {
  const struct {
    void (*change)(Config*);
    const char* flag;
  } kCases[] = {
      {[](Config* c) { c->socket = "127.0.0.1:1"; }, "--socket"},
      {[](Config* c) { c->socket = "unix:/" + std::string(108, 'x'); }, "--socket"},
      {[](Config* c) { c->host_name = ""; }, "--host-name"},
      {[](Config* c) { c->state_dir = "state"; }, "--state-dir"},
      {[](Config* c) { c->run_dir = ""; }, "--run-dir"},
      {[](Config* c) { c->audit = "audit"; }, "--audit"},
      {[](Config* c) { c->proxy_binary = "/nonexistent"; }, "--proxy-binary"},
      {[](Config* c) { c->proxy_user = "no-such-user"; }, "--proxy-user"},
      {[](Config* c) { c->open_ranges = {"10.0.0.1/8"}; }, "--open-range"},
      {[](Config* c) { c->limits = {"connections=1", "connection=1"}; },
       "--limit \"connection=1\""},
      {[](Config* c) { c->limits = {"connections=0"}; }, "between 1 and"},
      {[](Config* c) { c->handler_key = "/k"; }, "--handler-certificate and --handler-key go"},
  };
  for (const auto& c : kCases) {
    Config config = Good();
    c.change(&config);
    EXPECT_THAT(Check(config), HasSubstr(c.flag));
  }
}

TEST(ConfigTest, ReadsResolvConf) {
  EXPECT_THAT(ResolversOf(""), IsEmpty());
  EXPECT_THAT(ResolversOf("# nameserver 192.0.2.1\nsearch example\nnameserver\n"), IsEmpty());
  EXPECT_THAT(
      ResolversOf("nameserver 192.0.2.1\nnameserver\t2001:db8::1  # x\nnameserver fe80::1%eth0\n"
                  "nameserver not-an-address\noptions edns0"),
      ElementsAre("192.0.2.1", "2001:db8::1"));
}

}  // namespace
}  // namespace sallyport::agent
