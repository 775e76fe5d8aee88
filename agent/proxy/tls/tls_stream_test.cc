#include "agent/proxy/tls/tls_stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>

#include "agent/proxy/testing/run.h"
#include "agent/proxy/tls/testing/blocking_peer.h"

namespace sallyport::proxy {
namespace {

using absl::StatusCode;
using Script = BlockingPeer::Script;

Task<void> ReadOnce(Stream* stream, std::optional<StatusCode>* code) {
  std::array<char, 16> buffer;
  const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
  *code = count.status().code();
}

// Reads to the end. What came is `received`; the end's status is returned.
Task<absl::Status> ReadToEnd(Stream* stream, std::string* received) {
  std::array<char, 50000> buffer;
  while (true) {
    const absl::StatusOr<size_t> count = co_await stream->Read(buffer);
    if (!count.ok()) co_return count.status();
    if (*count == 0) co_return absl::OkStatus();
    received->append(buffer.data(), *count);
  }
}

Task<void> ReadToEndBeside(Stream* stream, std::string* received,
                           std::optional<absl::Status>* end) {
  *end = co_await ReadToEnd(stream, received);
}

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

// The stream is the client of a blocking server.
class TlsStreamTest : public testing::Test {
 protected:
  void Connect(Script script) {
    auto [mine, theirs] = MakeTcpPair();
    bssl::UniquePtr<SSL> server(SSL_new(server_.get()));
    SSL_set_accept_state(server.get());
    peer_.emplace(std::move(theirs), std::move(server), std::move(script));
    stream_ = std::make_unique<TlsStream>(std::make_unique<TcpStream>(context_, std::move(mine)),
                                          MakeClient(client_.get(), "good.test"), "");
    stream_->SetDeadline(std::chrono::steady_clock::now() + std::chrono::seconds(20));
    const TlsStream::HandshakeResult result = RunTask(context_, stream_->Handshake());
    ASSERT_TRUE(result.ok()) << result.transport << TlsErrorText(result.tls_error);
  }
  absl::Status Write(std::vector<std::string_view> pieces) {
    return RunTask(context_, stream_->Write(pieces));
  }
  // "bytes", "END" or the error.
  std::string Read() {
    std::array<char, 64> buffer;
    const absl::StatusOr<size_t> count = RunTask(context_, stream_->Read(buffer));
    if (!count.ok()) return absl::StatusCodeToString(count.status().code());
    return *count == 0 ? "END" : std::string(buffer.data(), *count);
  }

  boost::asio::io_context context_{1};
  const Identity root_ = MakeRoot("root");
  const Identity leaf_ = MakeIssued(root_, {.common_name = "leaf", .dns_names = {"good.test"}});
  const bssl::UniquePtr<SSL_CTX> server_ = MakeServerContext({&leaf_});
  const bssl::UniquePtr<SSL_CTX> client_ = MakeClientContext(root_.CertificatePem(), 1800000000);
  std::optional<BlockingPeer> peer_;
  std::unique_ptr<TlsStream> stream_;
};

TEST_F(TlsStreamTest, CarriesBytesAndCleanEnds) {
  std::string received;
  bool clean = false;
  Connect([&](SSL* ssl, int) {
    received = ReadAll(ssl, &clean);
    WriteAll(ssl, "answer");
    SSL_shutdown(ssl);
  });
  EXPECT_TRUE(Write({"que", "", "stion"}).ok());
  EXPECT_TRUE(RunTask(context_, stream_->ShutdownWrite()).ok());
  EXPECT_TRUE(RunTask(context_, stream_->ShutdownWrite()).ok());
  EXPECT_EQ(Write({"more"}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Read(), "answer");
  EXPECT_EQ(Read(), "END");
  EXPECT_EQ(Read(), "END");
  peer_->Join();
  EXPECT_EQ(received, "question");
  EXPECT_TRUE(clean);
}

TEST_F(TlsStreamTest, ReadsAndWritesMegabytesAtOnce) {
  const std::string bytes = Pattern(5 << 20);
  std::string echo;
  std::optional<absl::Status> end;
  // Echoes; both directions are full most of the time.
  Connect([](SSL* ssl, int) {
    char buffer[9000];
    int count;
    while ((count = SSL_read(ssl, buffer, sizeof(buffer))) > 0) {
      WriteAll(ssl, std::string(buffer, static_cast<size_t>(count)));
    }
    SSL_shutdown(ssl);
  });
  Spawn(context_, ReadToEndBeside(stream_.get(), &echo, &end));
  std::vector<std::string_view> pieces;
  for (size_t at = 0, size = 1; at < bytes.size(); at += size, size = size * 3 % 70001) {
    pieces.push_back(std::string_view(bytes).substr(at, size));
  }
  EXPECT_TRUE(Write(pieces).ok());
  EXPECT_TRUE(RunTask(context_, stream_->ShutdownWrite()).ok());
  while (!end.has_value()) context_.run_one();
  EXPECT_TRUE(end->ok()) << *end;
  EXPECT_TRUE(echo == bytes);
}

TEST_F(TlsStreamTest, GathersSmallPiecesIntoOneRecord) {
  int records = 0;
  Connect([&](SSL* ssl, int) {
    SSL_set_msg_callback_arg(ssl, &records);
    SSL_set_msg_callback(
        ssl, [](int is_write, int, int type, const void* header, size_t, SSL*, void* count) {
          const bool is_data = static_cast<const uint8_t*>(header)[0] == SSL3_RT_APPLICATION_DATA;
          if (!is_write && type == SSL3_RT_HEADER && is_data) ++*static_cast<int*>(count);
        });
    char buffer[64];
    SSL_read(ssl, buffer, sizeof(buffer));
  });
  EXPECT_TRUE(Write({"HTTP/1.1 200 OK\r\n", "a: b\r\n", "\r\n", "body"}).ok());
  peer_->Join();
  EXPECT_EQ(records, 1);
}

TEST_F(TlsStreamTest, GivesSeveralRecordsWithOneRead) {
  Connect([](SSL* ssl, int) {
    WriteAll(ssl, "one");
    WriteAll(ssl, "two");
    SSL_shutdown(ssl);
  });
  peer_->Join();
  EXPECT_EQ(Read(), "onetwo");
  EXPECT_EQ(Read(), "END");
}

TEST_F(TlsStreamTest, AWaitSeesWhatTheSocketNoLongerHas) {
  // More than a read takes, in one record; then an end behind data, and the socket stays open.
  Connect([](SSL* ssl, int) {
    WriteAll(ssl, std::string(200, 'x'));
    WriteAll(ssl, "last");
    SSL_shutdown(ssl);
    char byte;
    SSL_read(ssl, &byte, 1);
  });
  std::string received;
  while (true) {
    if (!stream_->MayBeReadable()) ASSERT_TRUE(RunTask(context_, stream_->WaitReadable()).ok());
    const std::string read = Read();
    if (read == "END") break;
    ASSERT_EQ(read.find("DEADLINE"), std::string::npos);
    received += read;
  }
  EXPECT_EQ(received, std::string(200, 'x') + "last");
  EXPECT_TRUE(RunTask(context_, stream_->WaitReadable()).ok());
  EXPECT_EQ(Read(), "END");
  EXPECT_TRUE(RunTask(context_, stream_->ShutdownWrite()).ok());
  peer_->Join();
}

TEST_F(TlsStreamTest, UT17_CallsAFinWithoutCloseNotifyDataLoss) {
  Connect([](SSL* ssl, int) { WriteAll(ssl, "cut"); });
  peer_->Join();
  EXPECT_EQ(Read(), "cut");
  EXPECT_EQ(Read(), "DATA_LOSS");
  EXPECT_EQ(Read(), "DATA_LOSS");
}

TEST_F(TlsStreamTest, CallsBadRecordsDataLoss) {
  Connect([](SSL* ssl, int fd) {
    WriteAll(ssl, "good");
    const std::string_view bad("\x17\x03\x03\x00\x20 this has no valid tag of an AEAD", 37);
    ASSERT_EQ(::send(fd, bad.data(), bad.size(), 0), 37);
    ReadAll(ssl);
  });
  EXPECT_EQ(Read(), "good");
  EXPECT_EQ(Read(), "DATA_LOSS");
  EXPECT_FALSE(Write({"more"}).ok());
}

TEST_F(TlsStreamTest, CallsAResetUnavailable) {
  Connect([](SSL*, int fd) {
    const linger abort{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
  });
  peer_->Join();
  EXPECT_EQ(Read(), "UNAVAILABLE");
}

TEST_F(TlsStreamTest, TL10_BoundsKeyUpdates) {
  Connect([](SSL* ssl, int) {
    for (int i = 0; i < 40; ++i) {
      SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
      SSL_write(ssl, "", 0);
    }
    ReadAll(ssl);
  });
  EXPECT_EQ(Read(), "DATA_LOSS");
}

TEST_F(TlsStreamTest, FailsAtTheDeadline) {
  Connect([](SSL* ssl, int) { ReadAll(ssl); });
  stream_->SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(Read(), "DEADLINE_EXCEEDED");
  EXPECT_EQ(Write({"late"}).code(), StatusCode::kDeadlineExceeded);
  stream_->SetDeadline(SteadyTime::max());
  EXPECT_TRUE(Write({"in time again"}).ok());
  stream_.reset();
}

TEST_F(TlsStreamTest, KeepsABrokenWriteBroken) {
  Connect([](SSL* ssl, int) {
    bool clean = true;
    ReadAll(ssl, &clean);
    EXPECT_FALSE(clean);
  });
  const std::string bytes = Pattern(64 << 20);
  stream_->SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(5));
  EXPECT_EQ(Write({bytes}).code(), StatusCode::kDeadlineExceeded);
  stream_->SetDeadline(SteadyTime::max());
  EXPECT_EQ(Write({"more"}).code(), StatusCode::kDeadlineExceeded);
  stream_->Close(Stream::How::kGraceful);
  EXPECT_EQ(Write({"more"}).code(), StatusCode::kCancelled);
}

TEST_F(TlsStreamTest, CancelsAReadThatIsUnderWay) {
  for (const auto how : {Stream::How::kGraceful, Stream::How::kReset}) {
    bool clean = false;
    Connect([&clean](SSL* ssl, int) { ReadAll(ssl, &clean); });
    std::optional<StatusCode> code;
    Spawn(context_, ReadOnce(stream_.get(), &code));
    context_.restart();
    context_.poll();
    stream_->Close(how);
    stream_->Close(how);
    context_.run();
    EXPECT_EQ(code, StatusCode::kCancelled);
    EXPECT_EQ(Read(), "CANCELLED");
    peer_->Join();
    EXPECT_EQ(clean, how == Stream::How::kGraceful);
  }
}

TEST_F(TlsStreamTest, MayEndWhileAReadIsUnderWay) {
  bool clean = true;
  Connect([&clean](SSL* ssl, int) { ReadAll(ssl, &clean); });
  std::optional<StatusCode> code;
  Spawn(context_, ReadOnce(stream_.get(), &code));
  context_.restart();
  context_.poll();
  stream_.reset();
  context_.run();
  EXPECT_EQ(code, StatusCode::kCancelled);
  peer_->Join();
  EXPECT_FALSE(clean);
}

TEST_F(TlsStreamTest, KnowsWhatIsReadableNow) {
  Connect([](SSL* ssl, int) {
    char byte;
    SSL_read(ssl, &byte, 1);  // The first byte that is written brings the session tickets.
    WriteAll(ssl, "a");
    SSL_read(ssl, &byte, 1);
  });
  EXPECT_FALSE(stream_->ReadableNow());
  EXPECT_TRUE(Write({"x"}).ok());
  EXPECT_EQ(Read(), "a");
  EXPECT_FALSE(stream_->ReadableNow());
  EXPECT_TRUE(Write({"y"}).ok());
  peer_->Join();
  EXPECT_TRUE(stream_->ReadableNow());  // The end.
  stream_->Close(Stream::How::kReset);
  EXPECT_TRUE(stream_->ReadableNow());
}

TEST_F(TlsStreamTest, FailsAHandshakeWithWhatIsNotTls) {
  auto [mine, theirs] = MakeSocketPair();
  const std::string_view answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
  ASSERT_EQ(::send(theirs.get(), answer.data(), answer.size(), 0),
            static_cast<ssize_t>(answer.size()));
  TlsStream stream(std::make_unique<TcpStream>(context_, std::move(mine)),
                   MakeClient(client_.get(), "good.test"), "");
  const TlsStream::HandshakeResult result = RunTask(context_, stream.Handshake());
  EXPECT_TRUE(result.transport.ok());
  EXPECT_EQ(TlsErrorText(result.tls_error), "WRONG_VERSION_NUMBER");
}

TEST_F(TlsStreamTest, FailsAHandshakeThatNobodyAnswers) {
  auto [mine, theirs] = MakeSocketPair();
  TlsStream stream(std::make_unique<TcpStream>(context_, std::move(mine)),
                   MakeClient(client_.get(), "good.test"), "");
  stream.SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  EXPECT_EQ(RunTask(context_, stream.Handshake()).transport.code(), StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace sallyport::proxy
