// The relay between real TCP sockets: every ending in every state.

#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/proxy/pipe_pool.h"
#include "agent/proxy/relay.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/run.h"
#include "agent/proxy/testing/sockets.h"

namespace sallyport::proxy {
namespace {

using std::chrono::steady_clock;

size_t OpenDescriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  size_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

char PatternAt(uint64_t position) { return static_cast<char>('!' + position % 89); }

// The far end of one side: the container, or the origin.
class Peer {
 public:
  explicit Peer(UniqueFd socket) : socket_(std::move(socket)) {}

  // As much of the next `size` bytes of the pattern, 256 KiB at most, as the kernel takes.
  size_t Send(size_t size) {
    size = std::min(size, size_t{256} * 1024);
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = PatternAt(sent_ + i);
    const ssize_t count = ::send(socket_.get(), bytes.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0) sent_ += static_cast<uint64_t>(count);
    return count > 0 ? static_cast<size_t>(count) : 0;
  }
  // Takes what is there.
  void Receive() {
    std::vector<char> buffer(1 << 20);
    while (!over_) {
      const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count < 0 && errno == EAGAIN) return;
      ended_ = count == 0;
      reset_ = count < 0;
      over_ = ended_ || reset_;
      for (ssize_t i = 0; i < count; ++i) {
        if (buffer[static_cast<size_t>(i)] != PatternAt(received_++)) wrong_ = true;
      }
    }
  }
  void End() { ::shutdown(socket_.get(), SHUT_WR); }
  void Abort() {
    const linger abort{1, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    socket_.Reset();
    over_ = true;
  }

  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }
  bool ended() const { return ended_; }
  bool reset() const { return reset_; }
  bool wrong() const { return wrong_; }

 private:
  UniqueFd socket_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  bool ended_ = false;
  bool reset_ = false;
  bool over_ = false;
  bool wrong_ = false;
};

Task<void> RelayAside(boost::asio::io_context* context, Stream* client, Stream* upstream,
                      std::string early, std::optional<RelayedBytes>* result) {
  *result =
      co_await RelayBytes(context, client, upstream, std::move(early), std::chrono::minutes(1));
}

class RelaySocketTest : public testing::Test {
 protected:
  RelaySocketTest() {
    signal(SIGPIPE, SIG_IGN);
    Sockets client = TcpPair();
    Sockets upstream = TcpPair();
    client_stream_ = std::make_unique<TcpStream>(context_, std::move(client.a));
    upstream_stream_ = std::make_unique<TcpStream>(context_, std::move(upstream.a));
    client_ = std::make_unique<Peer>(std::move(client.b));
    upstream_ = std::make_unique<Peer>(std::move(upstream.b));
  }
  ~RelaySocketTest() override {
    client_stream_ = nullptr;
    upstream_stream_ = nullptr;
    RunReady(context_);
    EXPECT_FALSE(client_->wrong());
    EXPECT_FALSE(upstream_->wrong());
    EXPECT_EQ(pool_.borrowed(), 0u);
  }

  void Begin(std::string early = "") {
    Spawn(context_, RelayAside(&context_, client_stream_.get(), upstream_stream_.get(),
                               std::move(early), &result_));
  }
  template <typename Condition>
  testing::AssertionResult RunUntil(Condition condition) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(20);
    context_.restart();
    while (!condition()) {
      if (steady_clock::now() > deadline) return testing::AssertionFailure() << "not in time";
      context_.run_one_for(std::chrono::milliseconds(5));
      if (context_.stopped()) context_.restart();
    }
    return testing::AssertionSuccess();
  }
  // `from` sends `size` bytes, which `to` receives.
  testing::AssertionResult Pass(Peer* from, Peer* to, size_t size) {
    const uint64_t target = from->sent() + size;
    return RunUntil([=] {
      if (from->sent() < target) from->Send(target - from->sent());
      to->Receive();
      return to->received() == target;
    });
  }
  // `from` sends until nothing goes any more, as nobody reads at the other end.
  testing::AssertionResult Stall(Peer* from) {
    auto last_progress = steady_clock::now();
    return RunUntil([&] {
      if (from->Send(1 << 20) > 0) last_progress = steady_clock::now();
      return pool_.borrowed() == 1 &&
             steady_clock::now() - last_progress > std::chrono::milliseconds(50);
    });
  }

  boost::asio::io_context context_{1};
  PipePool& pool_ = boost::asio::use_service<PipePool>(context_);
  std::unique_ptr<TcpStream> client_stream_, upstream_stream_;
  std::unique_ptr<Peer> client_, upstream_;
  std::optional<RelayedBytes> result_;
};

enum class State { kIdle, kBusy, kClientEnded, kUpstreamEnded, kClientStalls, kUpstreamStalls };
enum class Ending {
  kBothEnd,
  kClientResets,
  kUpstreamResets,
  kClosedHere,
  kIdleForTooLong,
};

class RelayEndingTest : public RelaySocketTest,
                        public testing::WithParamInterface<std::tuple<State, Ending>> {
 protected:
  void Reach(State state) {
    ASSERT_TRUE(Pass(client_.get(), upstream_.get(), 1000));
    switch (state) {
      case State::kIdle:
        ASSERT_TRUE(RunUntil([this] { return pool_.borrowed() == 0; }));
        break;
      case State::kBusy:
        ASSERT_TRUE(Pass(client_.get(), upstream_.get(), 3'000'000));
        ASSERT_TRUE(Pass(upstream_.get(), client_.get(), 3'000'001));
        ASSERT_GT(client_->Send(100'000), 0u);
        ASSERT_GT(upstream_->Send(100'000), 0u);
        break;
      case State::kClientEnded:
        End(client_.get(), upstream_.get());
        ASSERT_TRUE(Pass(upstream_.get(), client_.get(), 100'000));
        break;
      case State::kUpstreamEnded:
        End(upstream_.get(), client_.get());
        ASSERT_TRUE(Pass(client_.get(), upstream_.get(), 100'000));
        break;
      case State::kClientStalls:
        ASSERT_TRUE(Stall(upstream_.get()));
        break;
      case State::kUpstreamStalls:
        ASSERT_TRUE(Stall(client_.get()));
        break;
    }
    ASSERT_FALSE(result_.has_value());
  }
  void End(Peer* from, Peer* to) {
    from->End();
    ASSERT_TRUE(RunUntil([to] {
      to->Receive();
      return to->ended();
    }));
  }
  void Meet(Ending ending) {
    switch (ending) {
      case Ending::kBothEnd:
        client_->End();
        upstream_->End();
        break;
      case Ending::kClientResets:
        client_->Abort();
        break;
      case Ending::kUpstreamResets:
        upstream_->Abort();
        break;
      case Ending::kClosedHere:
        client_stream_->Close(Stream::How::kReset);
        upstream_stream_->Close(Stream::How::kReset);
        break;
      case Ending::kIdleForTooLong:
        client_stream_->SetDeadline(steady_clock::now());
        upstream_stream_->SetDeadline(steady_clock::now());
        break;
    }
  }
};

std::string EndingName(const testing::TestParamInfo<std::tuple<State, Ending>>& info) {
  static constexpr const char* kStates[] = {"Idle",          "Busy",         "ClientEnded",
                                            "UpstreamEnded", "ClientStalls", "UpstreamStalls"};
  static constexpr const char* kEndings[] = {"BothEnd", "ClientResets", "UpstreamResets",
                                             "ClosedHere", "IdleForTooLong"};
  return std::string(kStates[static_cast<int>(std::get<0>(info.param))]) +
         kEndings[static_cast<int>(std::get<1>(info.param))];
}
INSTANTIATE_TEST_SUITE_P(
    , RelayEndingTest,
    testing::Combine(testing::Values(State::kIdle, State::kBusy, State::kClientEnded,
                                     State::kUpstreamEnded, State::kClientStalls,
                                     State::kUpstreamStalls),
                     testing::Values(Ending::kBothEnd, Ending::kClientResets,
                                     Ending::kUpstreamResets, Ending::kClosedHere,
                                     Ending::kIdleForTooLong)),
    EndingName);

TEST_P(RelayEndingTest, EndsWithTrueCountsAndLeavesNothing) {
  const auto [state, ending] = GetParam();
  Begin();
  Reach(state);
  const bool clean = ending == Ending::kBothEnd;
  Meet(ending);
  ASSERT_TRUE(RunUntil([&] {
    // What is still under way is no idleness.
    if (ending == Ending::kIdleForTooLong) Meet(ending);
    // Nobody reads what a broken relay has not yet passed on.
    if (clean) client_->Receive();
    if (clean) upstream_->Receive();
    return result_.has_value();
  }));
  EXPECT_EQ(pool_.borrowed(), 0u);
  client_->Receive();
  upstream_->Receive();
  EXPECT_EQ(client_->ended() && upstream_->ended(), clean);
  if (clean) {
    EXPECT_EQ(upstream_->received(), client_->sent());
    EXPECT_EQ(client_->received(), upstream_->sent());
    EXPECT_EQ(result_->from_client, client_->sent());
    EXPECT_EQ(result_->to_client, upstream_->sent());
  } else {
    // A reset overtakes what the kernel has not yet sent.
    EXPECT_GE(result_->from_client, upstream_->received());
    EXPECT_LE(result_->from_client, client_->sent());
    EXPECT_GE(result_->to_client, client_->received());
    EXPECT_LE(result_->to_client, upstream_->sent());
  }
}

TEST_F(RelaySocketTest, IdleDirectionsHoldNoPipe) {
  Begin("hello");
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Pass(upstream_.get(), client_.get(), 300'000));
    ASSERT_TRUE(RunUntil([this] { return pool_.borrowed() == 0; }));
  }
  EXPECT_GE(pool_.idle(), 1u);
  EXPECT_LE(pool_.idle(), 2u);
  client_stream_->Close(Stream::How::kReset);
  ASSERT_TRUE(RunUntil([this] { return result_.has_value(); }));
}

TEST_F(RelaySocketTest, AStalledReaderStopsTheWriterAndLosesNothing) {
  Begin();
  ASSERT_TRUE(Stall(upstream_.get()));
  // The other direction is not held up.
  ASSERT_TRUE(Pass(client_.get(), upstream_.get(), 1'000'000));
  upstream_->End();
  client_->End();
  ASSERT_TRUE(RunUntil([this] {
    client_->Receive();
    upstream_->Receive();
    return result_.has_value();
  }));
  client_->Receive();
  EXPECT_EQ(client_->received(), upstream_->sent());
  EXPECT_EQ(result_->to_client, upstream_->sent());
}

TEST_F(RelaySocketTest, CopiesWhenThereIsNoPipe) {
  std::vector<PipePool::Pipe> taken;
  while (std::optional<PipePool::Pipe> pipe = pool_.Borrow()) taken.push_back(*std::move(pipe));
  Begin();
  EXPECT_TRUE(Pass(client_.get(), upstream_.get(), 3'000'000));
  EXPECT_TRUE(Pass(upstream_.get(), client_.get(), 5));
  taken.clear();
  EXPECT_TRUE(Pass(client_.get(), upstream_.get(), 3'000'000));
  EXPECT_GE(pool_.idle(), 1u);
  client_->End();
  upstream_->End();
  ASSERT_TRUE(RunUntil([this] { return result_.has_value(); }));
  EXPECT_EQ(result_->from_client, 6'000'000u);
  EXPECT_EQ(result_->to_client, 5u);
}

TEST_F(RelaySocketTest, TheEndOfASocketPairIsAResetOrNone) {
  for (const auto how : {Stream::How::kReset, Stream::How::kGraceful}) {
    Sockets client = TcpPair();
    Sockets pair = UnixPair();
    TcpStream client_stream(context_, std::move(client.a));
    TcpStream outer(context_, std::move(pair.a));
    TcpStream inner(context_, std::move(pair.b));
    Peer peer(std::move(client.b));
    TcpStream::ShareResets(inner, outer);
    std::optional<RelayedBytes> result;
    Spawn(context_, RelayAside(&context_, &client_stream, &outer, "", &result));
    RunReady(context_);
    inner.Close(how);
    const bool reset = how == Stream::How::kReset;
    EXPECT_TRUE(RunUntil([&] {
      peer.Receive();
      return peer.ended() || peer.reset();
    }));
    EXPECT_EQ(peer.reset(), reset);
    peer.End();
    EXPECT_TRUE(RunUntil([&] { return result.has_value(); }));
  }
}

TEST_F(RelaySocketTest, ClosesEveryDescriptor) {
  const size_t before = OpenDescriptors();
  for (int i = 0; i < 5; ++i) {
    Sockets client = TcpPair();
    Sockets upstream = TcpPair();
    TcpStream client_stream(context_, std::move(client.a));
    TcpStream upstream_stream(context_, std::move(upstream.a));
    Peer sender(std::move(upstream.b));
    std::optional<RelayedBytes> result;
    Spawn(context_, RelayAside(&context_, &client_stream, &upstream_stream, "", &result));
    ASSERT_TRUE(Stall(&sender));
    sender.Abort();
    ASSERT_TRUE(RunUntil([&] { return result.has_value(); }));
  }
  EXPECT_EQ(OpenDescriptors(), before + 2 * pool_.idle());
}

}  // namespace
}  // namespace sallyport::proxy
