#include "agent/proxy/sniff.h"

#include <gtest/gtest.h>

#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using std::chrono::steady_clock;

// A ClientHello with no extensions (RFC 8446 section 4.1.2): 2 bytes version, 32 random, no
// session, one cipher, null compression.
std::string SmallHello() {
  const std::string body = std::string("\x03\x03", 2) + std::string(32, 'r') +
                           std::string("\x00\x00\x02\x13\x01\x01\x00", 7);
  const std::string handshake =
      std::string("\x01\x00\x00", 3) + static_cast<char>(body.size()) + body;
  return std::string("\x16\x03\x01\x00", 4) + static_cast<char>(handshake.size()) + handshake;
}

// 9,000 cipher suites and as many bytes again, over two records.
std::string LargeHello() {
  const std::string body = std::string("\x03\x03", 2) + std::string(32, 'r') +
                           std::string("\x00\x46\x50", 3) + std::string(0x4650, 'c') +
                           std::string("\x01\x00", 2);
  const std::string handshake = std::string("\x01\x00\x46\x77", 4) + body;
  constexpr size_t kFirst = 0x4000;
  return std::string("\x16\x03\x01\x40\x00", 5) + handshake.substr(0, kFirst) +
         std::string("\x16\x03\x01\x06\x7b", 5) + handshake.substr(kFirst);
}

class SniffTest : public testing::Test {
 protected:
  Sniffed SniffBytes(std::string_view bytes, bool end, size_t max_read = 1 << 20) {
    MemoryStream::Pair pair = MemoryStream::MakePair(context_);
    Faults faults;
    faults.max_read = max_read;
    pair.first->set_faults(faults);
    pair.first->Receive(bytes);
    if (end) pair.first->ReceiveEnd();
    return RunTask(
        context_,
        Sniff(pair.first.get(), steady_clock::now() + std::chrono::milliseconds(end ? 10'000 : 20),
              "", &budget_));
  }
  int64_t memory() const { return budget_.held(Limit::kMemoryBytes); }

  boost::asio::io_context context_;
  ContainerBudget budget_{ContainerLimits()};
};

TEST_F(SniffTest, OneLetterMakesItHttp) {
  const Sniffed sniffed = SniffBytes("G", false);
  ASSERT_TRUE(std::holds_alternative<SniffedHttp>(sniffed));
  EXPECT_EQ(std::get<SniffedHttp>(sniffed).early, "G");
}

TEST_F(SniffTest, AnEmptyLineMayComeFirst) {
  EXPECT_TRUE(std::holds_alternative<SniffedHttp>(SniffBytes("\r\nGET / HTTP/1.1\r\n", false)));
}

TEST_F(SniffTest, ThePrefaceOfHttp2IsReadWhole) {
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (const size_t max_read : {size_t{1}, size_t{100}}) {
    const Sniffed sniffed = SniffBytes(preface, false, max_read);
    ASSERT_TRUE(std::holds_alternative<SniffedHttp2>(sniffed)) << max_read;
    EXPECT_EQ(std::get<SniffedHttp2>(sniffed).early, preface);
  }
}

TEST_F(SniffTest, WhatOnlyBeginsLikeThePrefaceIsForTheHttpParser) {
  for (const std::string_view bytes : {"P", "PRI * HTTP/2.0\r\n\r\nSM", "PRI * HTTP/2.0\r\n\r\nXX",
                                       "PROPFIND / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n"}) {
    for (const bool end : {false, true}) {
      const Sniffed sniffed = SniffBytes(bytes, end, 1);
      ASSERT_TRUE(std::holds_alternative<SniffedHttp>(sniffed)) << bytes;
    }
  }
}

TEST_F(SniffTest, AClientHelloIsReadWhole) {
  const std::string hello = SmallHello();
  for (const size_t max_read : {size_t{1}, size_t{7}, hello.size()}) {
    const Sniffed sniffed = SniffBytes(hello, false, max_read);
    ASSERT_TRUE(std::holds_alternative<SniffedTls>(sniffed)) << max_read;
    EXPECT_EQ(std::get<SniffedTls>(sniffed).early, hello);
    EXPECT_EQ(std::get<SniffedTls>(sniffed).hello.server_name, std::nullopt);
  }
}

TEST_F(SniffTest, ALargeClientHelloNeedsRoom) {
  {
    const Sniffed sniffed = SniffBytes(LargeHello(), false);
    ASSERT_TRUE(std::holds_alternative<SniffedTls>(sniffed));
    EXPECT_EQ(memory(), 2 * static_cast<int64_t>(kMaxClientHelloBytes));
  }
  EXPECT_EQ(memory(), 0);
  SniffBytes(LargeHello().substr(0, 0x4000), false);
  EXPECT_EQ(memory(), 0);
  const int64_t most = budget_.limits()[Limit::kMemoryBytes];
  const Gauge::Token others = budget_.Hold(Limit::kMemoryBytes, most);
  EXPECT_TRUE(std::holds_alternative<SniffedTooMuch>(SniffBytes(LargeHello(), false)));
  EXPECT_EQ(budget_.exceeded(Limit::kMemoryBytes), 1u);
  EXPECT_TRUE(std::holds_alternative<SniffedTls>(SniffBytes(SmallHello(), false)));
}

TEST_F(SniffTest, AHalfClientHelloIsNothingToServe) {
  const std::string half = SmallHello().substr(0, 20);
  for (const bool end : {true, false}) {
    const Sniffed sniffed = SniffBytes(half, end);
    ASSERT_TRUE(std::holds_alternative<SniffedNeither>(sniffed));
    EXPECT_EQ(std::get<SniffedNeither>(sniffed).alert, kAlertDecodeError);
  }
}

TEST_F(SniffTest, TL03_WhatSpeaksTlsIsToldSo) {
  for (const std::string_view bytes :
       {std::string_view("\x14"), std::string_view("\x15\x03\x03"), std::string_view("\x17\x03"),
        std::string_view("\x16\x03\x01\x00\x04\x02", 6)}) {
    const Sniffed sniffed = SniffBytes(bytes, false);
    ASSERT_TRUE(std::holds_alternative<SniffedNeither>(sniffed));
    EXPECT_EQ(std::get<SniffedNeither>(sniffed).alert, kAlertUnexpectedMessage);
  }
}

TEST_F(SniffTest, OtherBytesAreNeither) {
  for (const std::string_view bytes :
       {std::string_view("\x00\x01", 2), std::string_view("\x05\x01\x00", 3),
        std::string_view("\x80\x2e\x01", 3), std::string_view(" GET", 4)}) {
    const Sniffed sniffed = SniffBytes(bytes, false);
    ASSERT_TRUE(std::holds_alternative<SniffedNeither>(sniffed));
    EXPECT_EQ(std::get<SniffedNeither>(sniffed).alert, std::nullopt);
  }
}

TEST_F(SniffTest, SilenceIsNothing) {
  EXPECT_TRUE(std::holds_alternative<SniffedNothing>(SniffBytes("", true)));
  EXPECT_TRUE(std::holds_alternative<SniffedNothing>(SniffBytes("", false)));
}

}  // namespace
}  // namespace sallyport::proxy
