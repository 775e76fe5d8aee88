#include "agent/proxy/handlers/socket_source.h"

#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "agent/proxy/control.pb.h"
#include "agent/proxy/testing/run.h"
#include "common/ipc/frame.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

class SocketSourceTest : public testing::Test {
 protected:
  SocketSourceTest() {
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    source_ = std::make_shared<SocketSource>(UniqueFd(pair[0]));
    agent_ = UniqueFd(pair[1]);
  }

  absl::StatusOr<std::unique_ptr<TcpStream>> Connect(
      std::chrono::milliseconds time = std::chrono::seconds(20)) {
    return RunTask(context_, ConnectToSocket(&context_, source_, "/run/h.sock",
                                             std::chrono::steady_clock::now() + time));
  }

  // As the agent reads: the path, and the descriptor to answer on.
  std::pair<std::string, UniqueFd> Next() {
    char bytes[1024];
    iovec part{bytes, sizeof(bytes)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr packet{};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    packet.msg_control = control;
    packet.msg_controllen = sizeof(control);
    const ssize_t count = recvmsg(agent_.get(), &packet, MSG_CMSG_CLOEXEC);
    internal::NeedSocket need;
    EXPECT_TRUE(need.ParseFromArray(bytes, static_cast<int>(count)));
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(fd));
    return {need.path(), UniqueFd(fd)};
  }

  boost::asio::io_context context_{1};
  std::shared_ptr<const SocketSource> source_;
  UniqueFd agent_;
};

TEST_F(SocketSourceTest, BytesGoToTheSocketThatTheAgentGave) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd handler(pair[0]);
  UniqueFd given(pair[1]);
  std::thread agent([&] {
    auto [path, answer] = Next();
    EXPECT_EQ(path, "/run/h.sock");
    const int fds[] = {given.get()};
    EXPECT_TRUE(SendFrame(answer.get(), internal::HandlerSocket().SerializeAsString(), fds).ok());
    given.Reset();
  });
  const auto stream = Connect();
  agent.join();
  ASSERT_TRUE(stream.ok()) << stream.status();
  const std::string_view pieces[] = {"hi"};
  ASSERT_TRUE(RunTask(context_, (*stream)->Write(pieces)).ok());
  char bytes[2];
  ASSERT_EQ(recv(handler.get(), bytes, 2, MSG_WAITALL), 2);
  EXPECT_EQ(std::string(bytes, 2), "hi");
}

TEST_F(SocketSourceTest, TheAgentsReasonIsPassedOn) {
  std::thread agent([&] {
    internal::HandlerSocket refusal;
    refusal.set_error("no such file");
    EXPECT_TRUE(SendFrame(Next().second.get(), refusal.SerializeAsString(), {}).ok());
  });
  const absl::Status status = Connect().status();
  agent.join();
  EXPECT_EQ(status, absl::UnavailableError("no socket from the agent: no such file"));
}

TEST_F(SocketSourceTest, AnAgentThatIsSilentOrGone) {
  EXPECT_EQ(Connect(std::chrono::milliseconds(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  // Asked, and gone before it answers.
  std::thread agent([&] {
    Next();
    Next();
  });
  EXPECT_EQ(Connect().status().code(), absl::StatusCode::kUnavailable);
  agent.join();
  agent_.Reset();
  EXPECT_EQ(Connect().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SocketSourceTest, AnAgentThatDoesNotKeepUpKeepsNobodyWaiting) {
  absl::Status status;
  for (int i = 0; i < 100'000 && status.ok(); ++i) status = source_->Ask("/run/h.sock").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sallyport::proxy
