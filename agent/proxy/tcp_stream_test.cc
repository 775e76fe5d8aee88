#include "agent/proxy/tcp_stream.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Sockets {
  UniqueFd a, b;
};

Sockets UnixPair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Sockets TcpPair() {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener.get(), generic, sizeof(address)), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), generic, &length), 0);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), generic, sizeof(address)), 0);
  return {std::move(client), UniqueFd(::accept(listener.get(), nullptr, nullptr))};
}

Task<void> ReadOnce(TcpStream* stream, std::string* log) {
  std::array<char, 16> buffer;
  const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
  *log = !count.ok()   ? absl::StatusCodeToString(count.status().code())
         : *count == 0 ? "END"
                       : std::string(buffer.data(), *count);
}

// Whether another stream seems quiet when this one is resumed.
Task<void> ReadAndAsk(TcpStream* stream, TcpStream* other, std::optional<bool>* quiet) {
  std::array<char, 16> buffer;
  (void)co_await stream->Read(buffer);
  *quiet = other->SeemsQuiet();
}

Task<void> WriteAll(TcpStream* stream, std::string bytes, std::string* log) {
  const std::array<std::string_view, 3> pieces = {std::string_view(bytes).substr(0, 1), "",
                                                  std::string_view(bytes).substr(1)};
  const absl::Status status = co_await stream->Write(pieces);
  *log = absl::StatusCodeToString(status.code());
}

Task<absl::StatusOr<uint64_t>> ReadToEnd(TcpStream* stream) {
  std::array<char, 10'000> buffer;
  uint64_t total = 0;
  while (true) {
    const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
    if (!count.ok()) co_return count.status();
    if (*count == 0) co_return total;
    for (size_t i = 0; i < *count; ++i) {
      if (buffer[i] != static_cast<char>((total + i) % 251)) co_return absl::DataLossError("wrong");
    }
    total += *count;
  }
}

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

// Every test runs over TCP and over a Unix socket.
class TcpStreamTest : public testing::TestWithParam<Sockets (*)()> {
 protected:
  TcpStreamTest() {
    Sockets sockets = GetParam()();
    a_ = std::make_unique<TcpStream>(context_, std::move(sockets.a));
    b_ = std::make_unique<TcpStream>(context_, std::move(sockets.b));
  }
  std::string Read(std::unique_ptr<TcpStream>& stream) {
    std::string log;
    Spawn(context_, ReadOnce(stream.get(), &log));
    RunUntil([&log] { return !log.empty(); });
    return log;
  }
  std::string Write(std::unique_ptr<TcpStream>& stream, std::string bytes) {
    std::string log;
    Spawn(context_, WriteAll(stream.get(), std::move(bytes), &log));
    RunUntil([&log] { return !log.empty(); });
    return log;
  }
  template <typename Condition>
  void RunUntil(Condition condition) {
    context_.restart();
    while (!condition() && context_.run_one_for(std::chrono::seconds(30)) > 0) {
    }
    ASSERT_TRUE(condition());
  }

  boost::asio::io_context context_{1};
  std::unique_ptr<TcpStream> a_, b_;
};

INSTANTIATE_TEST_SUITE_P(Sockets, TcpStreamTest, testing::Values(&TcpPair, &UnixPair),
                         [](const auto& param) { return param.index == 0 ? "Tcp" : "Unix"; });

TEST_P(TcpStreamTest, CarriesBytesAndEnd) {
  EXPECT_EQ(Write(a_, "hello"), "OK");
  EXPECT_EQ(Read(b_), "hello");
  EXPECT_TRUE(RunTask(context_, a_->ShutdownWrite()).ok());
  EXPECT_EQ(Read(b_), "END");
  EXPECT_EQ(Write(b_, "back"), "OK");
  EXPECT_EQ(Read(a_), "back");
}

TEST_P(TcpStreamTest, WaitsForBytes) {
  std::string log;
  Spawn(context_, ReadOnce(b_.get(), &log));
  context_.poll();
  EXPECT_EQ(log, "");
  EXPECT_EQ(Write(a_, "late"), "OK");
  RunUntil([&log] { return !log.empty(); });
  EXPECT_EQ(log, "late");
}

TEST_P(TcpStreamTest, WritesMoreThanTheKernelTakes) {
  constexpr size_t kBytes = 20'000'000;
  std::string log;
  Spawn(context_, WriteAll(a_.get(), Pattern(kBytes), &log));
  context_.poll();
  EXPECT_EQ(log, "");
  std::array<char, 7> first;
  const absl::StatusOr<size_t> count = RunTask(context_, b_->Read(first));
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(std::string(first.data(), *count), Pattern(*count));
  std::array<char, 4096> buffer;
  uint64_t total = *count;
  while (total < kBytes) {
    const absl::StatusOr<size_t> more = RunTask(context_, b_->Read(buffer));
    ASSERT_TRUE(more.ok());
    ASSERT_EQ(static_cast<uint8_t>(buffer[0]), total % 251);
    total += *more;
  }
  RunUntil([&log] { return !log.empty(); });
  EXPECT_EQ(log, "OK");
}

TEST_P(TcpStreamTest, ReadsToTheEnd) {
  EXPECT_EQ(Write(a_, Pattern(30'000)), "OK");
  a_->Close(Stream::How::kGraceful);
  const absl::StatusOr<uint64_t> total = RunTask(context_, ReadToEnd(b_.get()));
  ASSERT_TRUE(total.ok()) << total.status();
  EXPECT_EQ(*total, 30'000u);
}

TEST_P(TcpStreamTest, DeadlineEndsAPendingRead) {
  b_->SetDeadline(steady_clock::now() + milliseconds(20));
  EXPECT_EQ(Read(b_), "DEADLINE_EXCEEDED");
  EXPECT_EQ(Read(b_), "DEADLINE_EXCEEDED");
  b_->SetDeadline(SteadyTime::max());
  EXPECT_EQ(Write(a_, "later"), "OK");
  EXPECT_EQ(Read(b_), "later");
}

TEST_P(TcpStreamTest, DeadlineEndsAPendingWrite) {
  a_->SetDeadline(steady_clock::now() + milliseconds(20));
  EXPECT_EQ(Write(a_, Pattern(20'000'000)), "DEADLINE_EXCEEDED");
}

TEST_P(TcpStreamTest, PastDeadlineFailsAtOnce) {
  EXPECT_EQ(Write(a_, "there"), "OK");
  b_->SetDeadline(steady_clock::now() - milliseconds(1));
  EXPECT_EQ(Read(b_), "DEADLINE_EXCEEDED");
}

TEST_P(TcpStreamTest, DeadlineMayMoveCloserWhileAReadWaits) {
  std::string log;
  b_->SetDeadline(steady_clock::now() + std::chrono::hours(1));
  Spawn(context_, ReadOnce(b_.get(), &log));
  context_.poll();
  b_->SetDeadline(steady_clock::now());
  RunUntil([&log] { return !log.empty(); });
  EXPECT_EQ(log, "DEADLINE_EXCEEDED");
}

TEST_P(TcpStreamTest, DeadlineMayMoveAwayWhileAReadWaits) {
  std::string log;
  const SteadyTime soon = steady_clock::now() + milliseconds(10);
  b_->SetDeadline(soon);
  Spawn(context_, ReadOnce(b_.get(), &log));
  context_.poll();
  b_->SetDeadline(steady_clock::now() + std::chrono::hours(1));
  context_.run_until(soon + milliseconds(10));  // The timer fires, and is armed again.
  EXPECT_EQ(log, "");
  EXPECT_EQ(Write(a_, "x"), "OK");
  RunUntil([&log] { return !log.empty(); });
  EXPECT_EQ(log, "x");
}

TEST_P(TcpStreamTest, CloseCancelsPendingOperations) {
  std::string read, written;
  Spawn(context_, ReadOnce(a_.get(), &read));
  Spawn(context_, WriteAll(a_.get(), Pattern(20'000'000), &written));
  context_.poll();
  a_->Close(Stream::How::kReset);
  a_->Close(Stream::How::kGraceful);
  RunUntil([&] { return !read.empty() && !written.empty(); });
  EXPECT_EQ(read, "CANCELLED");
  EXPECT_EQ(written, "CANCELLED");
  EXPECT_EQ(Read(a_), "CANCELLED");
}

TEST_P(TcpStreamTest, MayBeDestroyedWhileOperationsWait) {
  std::string read, written;
  Spawn(context_, ReadOnce(a_.get(), &read));
  Spawn(context_, WriteAll(a_.get(), Pattern(20'000'000), &written));
  context_.poll();
  a_ = nullptr;
  RunUntil([&] { return !read.empty() && !written.empty(); });
  EXPECT_EQ(read, "CANCELLED");
  EXPECT_EQ(written, "CANCELLED");
}

TEST_P(TcpStreamTest, MayBeDestroyedWithItsContext) {
  auto context = std::make_unique<boost::asio::io_context>(1);
  Sockets sockets = GetParam()();
  TcpStream stream(*context, std::move(sockets.a));
  stream.SetDeadline(steady_clock::now() + std::chrono::hours(1));
  std::string log;
  Spawn(*context, ReadOnce(&stream, &log));
  context->poll();
  stream.Close(Stream::How::kGraceful);
  EXPECT_EQ(log, "");
}

Task<void> ReadWhileOwning(std::vector<std::unique_ptr<TcpStream>> streams) {
  std::string log;
  co_await ReadOnce(streams.front().get(), &log);
}

TEST_P(TcpStreamTest, ItsContextMayEndWhileAWaitOwnsOthers) {
  // Several: which of them the context gives up first is not said.
  for (int i = 0; i < 20; ++i) {
    auto context = std::make_unique<boost::asio::io_context>(1);
    std::vector<UniqueFd> peers;
    std::vector<std::unique_ptr<TcpStream>> streams;
    for (int stream = 0; stream < 5; ++stream) {
      Sockets sockets = GetParam()();
      streams.push_back(std::make_unique<TcpStream>(*context, std::move(sockets.a)));
      peers.push_back(std::move(sockets.b));
    }
    Spawn(*context, ReadWhileOwning(std::move(streams)));
    context->poll();
    context = nullptr;
    for (const UniqueFd& peer : peers) {
      char byte;
      EXPECT_EQ(::recv(peer.get(), &byte, 1, MSG_DONTWAIT), 0);
    }
  }
}

TEST_P(TcpStreamTest, TheEndIsSeenBehindAShortRead) {
  std::string log;
  Spawn(context_, ReadOnce(b_.get(), &log));
  context_.poll();
  // One edge for both.
  ASSERT_EQ(::send(a_->native_handle(), "x", 1, 0), 1);
  ASSERT_EQ(::shutdown(a_->native_handle(), SHUT_WR), 0);
  RunUntil([&log] { return !log.empty(); });
  EXPECT_EQ(log, "x");
  EXPECT_EQ(Read(b_), "END");
}

TEST_P(TcpStreamTest, AWaitSeesWhatAnotherReaderLeft) {
  ASSERT_EQ(::send(a_->native_handle(), "xy", 2, 0), 2);
  EXPECT_TRUE(RunTask(context_, b_->WaitReadable()).ok());
  char byte;
  ASSERT_EQ(::recv(b_->native_handle(), &byte, 1, 0), 1);
  EXPECT_TRUE(RunTask(context_, b_->WaitReadable()).ok());
  EXPECT_EQ(Read(b_), "y");
}

TEST_P(TcpStreamTest, ResetIsSeenAsOneOverTcp) {
  if (GetParam() == &UnixPair) Write(b_, "unread, so that the kernel reports an error");
  a_->Close(Stream::How::kReset);
  EXPECT_EQ(Read(b_), "UNAVAILABLE");
}

TEST_P(TcpStreamTest, TellsWhetherAReadWouldWait) {
  EXPECT_FALSE(b_->ReadableNow());
  EXPECT_EQ(Write(a_, "x"), "OK");
  EXPECT_TRUE(b_->ReadableNow());
  EXPECT_EQ(Read(b_), "x");
  EXPECT_FALSE(b_->ReadableNow());
  a_->Close(Stream::How::kGraceful);
  EXPECT_TRUE(b_->ReadableNow());
}

TEST_P(TcpStreamTest, SeemsQuietWhileTheEventLoopHasJustTold) {
  EXPECT_FALSE(b_->SeemsQuiet());
  EXPECT_EQ(Write(a_, "x"), "OK");
  EXPECT_EQ(Read(b_), "x");
  RunReady(context_);
  // Nobody waits, so that nothing would have been told.
  EXPECT_FALSE(b_->SeemsQuiet());
  std::optional<bool> quiet;
  Spawn(context_, ReadAndAsk(a_.get(), b_.get(), &quiet));
  RunReady(context_);
  EXPECT_EQ(quiet, std::nullopt);
  EXPECT_EQ(Write(b_, "y"), "OK");
  RunReady(context_);
  EXPECT_EQ(quiet, true);
  EXPECT_FALSE(b_->SeemsQuiet());
}

TEST_P(TcpStreamTest, DoesNotSeemQuietOnceToldOfTheEnd) {
  EXPECT_EQ(Write(a_, "x"), "OK");
  EXPECT_EQ(Read(b_), "x");
  Sockets other = UnixPair();
  TcpStream waiting(context_, std::move(other.a));
  std::optional<bool> quiet;
  Spawn(context_, ReadAndAsk(&waiting, b_.get(), &quiet));
  RunReady(context_);
  ASSERT_EQ(::shutdown(a_->native_handle(), SHUT_WR), 0);
  RunReady(context_);
  ASSERT_EQ(::send(other.b.get(), "y", 1, 0), 1);
  RunReady(context_);
  EXPECT_EQ(quiet, false);
}

TEST_P(TcpStreamTest, ReceivesWhatIsThere) {
  std::array<char, 4> buffer;
  EXPECT_EQ(b_->ReceiveNow(buffer), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_EQ(::send(a_->native_handle(), "x", 1, 0), 1);
  // The kernel is asked again once the event loop has told of something.
  EXPECT_EQ(b_->ReceiveNow(buffer), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(RunTask(context_, b_->WaitReadable()).ok());
  EXPECT_EQ(b_->ReceiveNow(buffer), 1);
  EXPECT_EQ(buffer[0], 'x');
}

TEST_P(TcpStreamTest, ReceivesWhatIsFoundReadable) {
  EXPECT_EQ(Write(a_, "x"), "OK");
  EXPECT_EQ(Read(b_), "x");
  ASSERT_EQ(::send(a_->native_handle(), "y", 1, 0), 1);
  EXPECT_TRUE(b_->ReadableNow());
  std::array<char, 4> buffer;
  EXPECT_EQ(b_->ReceiveNow(buffer), 1);
}

TEST_P(TcpStreamTest, WaitsWithoutReading) {
  EXPECT_EQ(Write(a_, "x"), "OK");
  EXPECT_TRUE(RunTask(context_, b_->WaitReadable()).ok());
  EXPECT_TRUE(RunTask(context_, b_->WaitWritable()).ok());
  b_->SetDeadline(steady_clock::now());
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunTask(context_, b_->WaitReadable())));
}

TEST(TcpStreamTest, UrgentDataHidesNothing) {
  boost::asio::io_context context{1};
  Sockets sockets = TcpPair();
  TcpStream stream(context, std::move(sockets.a));
  std::string log;
  Spawn(context, ReadOnce(&stream, &log));
  context.poll();
  // A read ends before the urgent byte.
  ASSERT_EQ(::send(sockets.b.get(), "ab", 2, 0), 2);
  ASSERT_EQ(::send(sockets.b.get(), "!", 1, MSG_OOB), 1);
  ASSERT_EQ(::send(sockets.b.get(), "cd", 2, 0), 2);
  const auto read = [&] {
    context.restart();
    while (log.empty() && context.run_one_for(std::chrono::seconds(10)) > 0) {
    }
  };
  read();
  EXPECT_EQ(log, "ab");
  log.clear();
  Spawn(context, ReadOnce(&stream, &log));
  read();
  EXPECT_EQ(log, "cd");
}

std::string NameOf(HangUp how) { return how == HangUp::kHalf ? "half " : "whole "; }

TEST(TcpStreamTest, TellsOfAHangUpWithoutReading) {
  for (const bool reset : {false, true}) {
    boost::asio::io_context context{1};
    Sockets sockets = TcpPair();
    TcpStream stream(context, std::move(sockets.a));
    std::string told;
    stream.OnHangUp([&told](HangUp how) { told += NameOf(how); });
    ASSERT_EQ(::send(sockets.b.get(), "unread", 6, 0), 6);
    context.run_for(milliseconds(20));
    EXPECT_EQ(told, "");
    if (reset) {
      const linger abort{1, 0};
      ::setsockopt(sockets.b.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
      sockets.b.Reset();
    } else {
      ::shutdown(sockets.b.get(), SHUT_WR);
    }
    context.restart();
    while (told.empty() && context.run_one_for(std::chrono::seconds(10)) > 0) {
    }
    EXPECT_EQ(told, reset ? "whole " : "half ");
    // Whoever asks later is told at once.
    std::string later;
    stream.OnHangUp([&later](HangUp how) { later += NameOf(how); });
    EXPECT_EQ(later, told);
    stream.OnHangUp(nullptr);
    if (reset) continue;
    std::string log;
    Spawn(context, ReadOnce(&stream, &log));
    RunReady(context);
    EXPECT_EQ(log, "unread");
  }
}

TEST(TcpStreamTest, AClosedPeerAnswersAByteWithAHangUp) {
  boost::asio::io_context context{1};
  Sockets sockets = TcpPair();
  TcpStream stream(context, std::move(sockets.a));
  std::string told;
  stream.OnHangUp([&told](HangUp how) { told += NameOf(how); });
  sockets.b.Reset();
  while (told.empty() && context.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(told, "half ");
  std::string log;
  Spawn(context, WriteAll(&stream, "ab", &log));
  context.restart();
  while (told != "half whole " && context.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(told, "half whole ");
}

TEST(TcpStreamTest, NothingIsToldOfAStreamThatIsGone) {
  boost::asio::io_context context{1};
  Sockets first = TcpPair();
  Sockets second = TcpPair();
  auto stream = std::make_unique<TcpStream>(context, std::move(first.a));
  TcpStream other(context, std::move(second.a));
  std::string told;
  // Both ends are told in the same turn; the first to be told takes the other with it.
  stream->OnHangUp([&told](HangUp how) { told += NameOf(how); });
  other.OnHangUp([&](HangUp) { stream = nullptr; });
  second.b.Reset();
  while (stream != nullptr && context.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  first.b.Reset();
  other.Close(Stream::How::kGraceful);
  // Nothing is left to wait for.
  context.restart();
  context.run();
  EXPECT_EQ(told, "");
}

}  // namespace
}  // namespace sallyport::proxy
