#include "controlplane/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport {
namespace {

using testing::HasSubstr;

TEST(ListenAddressTest, Accepted) {
  const std::pair<std::string, std::string> cases[] = {
      {"unix:/run/x.sock", "unix:/run/x.sock"},
      {"127.0.0.1:7443", "127.0.0.1:7443"},
      {"127.9.9.9:0", "127.9.9.9:0"},
      {"localhost:80", "127.0.0.1:80"},
      {"[::1]:7443", "[::1]:7443"},
  };
  for (const auto& [text, expected] : cases) {
    const auto address = ListenAddress::Parse(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), expected);
  }
}

TEST(ListenAddressTest, Refused) {
  for (const std::string& text :
       {std::string(), std::string("unix:"), std::string("unix:relative"),
        "unix:/" + std::string(107, 'x'), std::string("127.0.0.1"), std::string("127.0.0.1:"),
        std::string("127.0.0.1:65536"), std::string("127.0.0.1:-1"), std::string("::1:80")}) {
    EXPECT_FALSE(ListenAddress::Parse(text).ok()) << text;
  }
  for (const char* text : {"0.0.0.0:7443", "[::]:7443", "192.0.2.1:7443", "cp.internal:7443",
                           "[::ffff:127.0.0.1]:80"}) {
    const auto address = ListenAddress::Parse(text);
    EXPECT_THAT(std::string(address.status().message()), HasSubstr("mutual TLS")) << text;
  }
}

TEST(ListenAddressTest, AnywhereWithTls) {
  for (const char* text : {"0.0.0.0:7443", "[::]:7443", "192.0.2.1:0", "cp.internal:7443",
                           "127.0.0.1:7443", "unix:/run/x.sock"}) {
    const auto address = ListenAddress::Parse(text, ListenAddress::Reach::kAnywhere);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(address->ToString(), text);
  }
  for (const char* text : {"", ":7443", "a/b:1", "dns:///x:1", "::1:80", "192.0.2.1", "a b:1"}) {
    EXPECT_FALSE(ListenAddress::Parse(text, ListenAddress::Reach::kAnywhere).ok()) << text;
  }
}

class UnixSocketTest : public testing::Test {
 protected:
  UnixSocketTest() {
    std::string name = "/tmp/listen.XXXXXX";
    dir_ = mkdtemp(name.data());
    path_ = dir_ + "/socket";
  }
  ~UnixSocketTest() override { std::filesystem::remove_all(dir_); }

  UniqueFd Bind() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }

  std::string dir_;
  std::string path_;
};

TEST_F(UnixSocketTest, MakesTheDirectory) {
  EXPECT_TRUE(PrepareUnixSocket(dir_ + "/new/socket").ok());
  EXPECT_TRUE(std::filesystem::is_directory(dir_ + "/new"));
}

TEST_F(UnixSocketTest, StaleSocketIsRemoved) {
  Bind().Reset();
  EXPECT_TRUE(PrepareUnixSocket(path_).ok());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, SocketInUseIsLeftAlone) {
  const UniqueFd fd = Bind();
  ASSERT_EQ(::listen(fd.get(), 1), 0);
  EXPECT_THAT(std::string(PrepareUnixSocket(path_).message()),
              HasSubstr("another program answers"));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(UnixSocketTest, OtherFilesAreLeftAlone) {
  std::ofstream(path_) << "precious";
  EXPECT_THAT(std::string(PrepareUnixSocket(path_).message()), HasSubstr("is no socket"));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace sallyport
