#include "agent/control_socket.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kSomebody = 65534;
constexpr int kPatienceMs = 10'000;

class Service : public v1::AgentControl::Service {
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*,
                      v1::StatusResponse* response) override {
    response->set_host_name("host-7");
    return grpc::Status::OK;
  }
};

class ControlSocketTest : public testing::Test {
 protected:
  void SetUp() override { fs::permissions(directory_, fs::perms(0755)); }
  void TearDown() override { fs::remove_all(directory_); }

  std::unique_ptr<ControlSocket> Serve() {
    absl::StatusOr<std::unique_ptr<ControlSocket>> socket = ControlSocket::Serve(path_, &service_);
    EXPECT_TRUE(socket.ok()) << socket.status();
    return *std::move(socket);
  }
  std::string Host() const {
    const auto stub = v1::AgentControl::NewStub(
        grpc::CreateChannel("unix:" + path_, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::StatusResponse response;
    const grpc::Status status = stub->Status(&context, {}, &response);
    return status.ok() ? response.host_name() : status.error_message();
  }
  // What a process of `user` finds: 0, it is heard; 1, its connection is closed unread; 2, it
  // cannot connect; 3, neither in time.
  int Found(uid_t user) const {
    const pid_t child = fork();
    if (child == 0) {
      if (setresuid(user, user, user) != 0) _exit(4);
      const int connection = socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
      path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
      if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
        _exit(2);
      // An HTTP/2 server speaks first (RFC 9113 section 3.4).
      pollfd ready{connection, POLLIN, 0};
      if (poll(&ready, 1, kPatienceMs) != 1) _exit(3);
      char byte;
      _exit(read(connection, &byte, 1) == 1 ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
  }

  const std::string directory_ = [] {
    // Short enough for sockaddr_un.
    std::string pattern = "/tmp/sallyport-control.XXXXXX";
    return std::string(mkdtemp(pattern.data()));
  }();
  const std::string path_ = directory_ + "/agent.sock";
  Service service_;
};

TEST_F(ControlSocketTest, ServesOnASocketThatIsOpenToItsUserAlone) {
  const auto socket = Serve();
  EXPECT_EQ(Host(), "host-7");
  struct stat file{};
  ASSERT_EQ(stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode, static_cast<mode_t>(S_IFSOCK | 0600));
  EXPECT_EQ(Found(kSomebody), 2);
}

TEST_F(ControlSocketTest, WhateverItsModeOnlyRootAndItsUserAreHeard) {
  const auto socket = Serve();
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  EXPECT_EQ(Found(0), 0);
  EXPECT_EQ(Found(kSomebody), 1);
  EXPECT_EQ(Host(), "host-7");
}

TEST_F(ControlSocketTest, AnEndTakesTheFileAndTheConnectionsAlong) {
  auto socket = Serve();
  const auto channel = grpc::CreateChannel("unix:" + path_, grpc::InsecureChannelCredentials());
  ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() +
                                        std::chrono::milliseconds(kPatienceMs)));
  socket.reset();
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_TRUE(channel->WaitForStateChange(
      GRPC_CHANNEL_READY,
      std::chrono::system_clock::now() + std::chrono::milliseconds(kPatienceMs)));
  socket = Serve();
  EXPECT_EQ(Host(), "host-7");
}

TEST_F(ControlSocketTest, TakesThePlaceOfOneThatNobodyServesAndOfNothingElse) {
  const auto first = Serve();
  EXPECT_EQ(ControlSocket::Serve(path_, &service_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Host(), "host-7");
  const std::string file = directory_ + "/file";
  std::ofstream(file) << "somebody's";
  EXPECT_EQ(ControlSocket::Serve(file, &service_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fs::is_regular_file(file));
  const std::string left = directory_ + "/left";
  if (fork() == 0) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    left.copy(address.sun_path, sizeof(address.sun_path) - 1);
    _exit(bind(socket(AF_UNIX, SOCK_STREAM, 0), reinterpret_cast<sockaddr*>(&address),
               sizeof(address)));
  }
  int status = -1;
  wait(&status);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(ControlSocket::Serve(left, &service_).ok());
}

}  // namespace
}  // namespace sallyport::agent
