#include "agent/handler_sockets.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <string>

#include "agent/proxy/control.pb.h"
#include "common/ipc/frame.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using testing::HasSubstr;

class HandlerSocketsTest : public testing::Test {
 protected:
  HandlerSocketsTest() {
    char directory[] = "/tmp/handler-sockets-XXXXXX";
    directory_ = mkdtemp(directory);
  }
  ~HandlerSocketsTest() override { std::filesystem::remove_all(directory_); }

  UniqueFd Listen(const std::string& path) {
    UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    return listener;
  }

  // As the proxy asks.
  static Frame Ask(const HandlerSockets& sockets, const std::string& packet) {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    UniqueFd own(pair[0]);
    UniqueFd theirs(pair[1]);
    iovec part{const_cast<char*>(packet.data()), packet.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &pair[1], sizeof(int));
    EXPECT_EQ(sendmsg(sockets.peer().get(), &message, 0), static_cast<ssize_t>(packet.size()));
    theirs.Reset();
    absl::StatusOr<Frame> frame = ReceiveFrame(own.get());
    EXPECT_TRUE(frame.ok()) << frame.status();
    return *std::move(frame);
  }
  static std::string Packet(const std::string& path) {
    internal::NeedSocket need;
    need.set_path(path);
    return need.SerializeAsString();
  }
  static std::string ErrorOf(const Frame& frame) {
    internal::HandlerSocket answer;
    EXPECT_TRUE(answer.ParseFromString(frame.payload));
    EXPECT_EQ(frame.fds.size(), answer.error().empty() ? 1u : 0u);
    return answer.error();
  }

  std::string directory_;
};

TEST_F(HandlerSocketsTest, GivesAConnectedSocket) {
  const std::string path = directory_ + "/h.sock";
  const UniqueFd listener = Listen(path);
  std::promise<std::string> asked;
  HandlerSockets sockets([&](const std::string& one) {
    asked.set_value(one);
    return absl::OkStatus();
  });
  const Frame frame = Ask(sockets, Packet(path));
  ASSERT_EQ(ErrorOf(frame), "");
  EXPECT_EQ(asked.get_future().get(), path);
  const UniqueFd accepted(accept(listener.get(), nullptr, nullptr));
  ASSERT_EQ(send(frame.fds[0].get(), "hi", 2, 0), 2);
  char bytes[2];
  ASSERT_EQ(recv(accepted.get(), bytes, 2, MSG_WAITALL), 2);
  EXPECT_EQ(std::string(bytes, 2), "hi");
}

TEST_F(HandlerSocketsTest, WhatMayNotBeConnectedIsNot) {
  const std::string path = directory_ + "/h.sock";
  const UniqueFd listener = Listen(path);
  HandlerSockets sockets(
      [](const std::string&) { return absl::PermissionDeniedError("nobody's"); });
  EXPECT_EQ(ErrorOf(Ask(sockets, Packet(path))), "nobody's");
  pollfd waiting{listener.get(), POLLIN, 0};
  EXPECT_EQ(poll(&waiting, 1, 0), 0);
}

TEST_F(HandlerSocketsTest, SaysWhyNot) {
  HandlerSockets sockets([](const std::string&) { return absl::OkStatus(); });
  EXPECT_THAT(ErrorOf(Ask(sockets, Packet(directory_ + "/none"))),
              HasSubstr("/none: No such file or directory"));
  EXPECT_THAT(ErrorOf(Ask(sockets, Packet("/" + std::string(200, 'a')))), HasSubstr("too long"));
  // A queue that is full.
  const std::string path = directory_ + "/h.sock";
  const UniqueFd listener = Listen(path);
  std::vector<Frame> held;
  std::string error;
  while (held.size() < 100 && error.empty()) {
    held.push_back(Ask(sockets, Packet(path)));
    error = ErrorOf(held.back());
  }
  EXPECT_THAT(error, HasSubstr("Resource temporarily unavailable"));
}

TEST_F(HandlerSocketsTest, ServesAfterAPacketThatIsNone) {
  HandlerSockets sockets([](const std::string&) { return absl::NotFoundError("none"); });
  EXPECT_EQ(send(sockets.peer().get(), "\xff\xff", 2, 0), 2);
  EXPECT_EQ(ErrorOf(Ask(sockets, Packet("/x"))), "none");
}

TEST(CheckSocketDirectoryTest, OnlyBelow) {
  const std::vector<std::string> directories = {"/run/sallyport/handlers", "/srv/h"};
  EXPECT_TRUE(CheckSocketDirectory("/run/sallyport/handlers/a.sock", directories).ok());
  EXPECT_TRUE(CheckSocketDirectory("/srv/h/b/a.sock", directories).ok());
  for (const char* path : {"/run/docker.sock", "/run/sallyport/handlers", "/srv/hh/a.sock"}) {
    EXPECT_THAT(std::string(CheckSocketDirectory(path, directories).message()),
                HasSubstr("is not below /run/sallyport/handlers, /srv/h; put it there"))
        << path;
  }
}

}  // namespace
}  // namespace sallyport::agent
