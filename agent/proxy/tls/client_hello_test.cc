#include "agent/proxy/tls/client_hello.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport::proxy {
namespace {

std::string U8(size_t n) { return std::string(1, static_cast<char>(n)); }
std::string U16(size_t n) { return U8(n >> 8) + U8(n & 0xff); }
std::string U24(size_t n) { return U8(n >> 16) + U16(n & 0xffff); }
std::string Prefixed8(const std::string& body) { return U8(body.size()) + body; }
std::string Prefixed16(const std::string& body) { return U16(body.size()) + body; }

std::string Extension(size_t type, const std::string& data) { return U16(type) + Prefixed16(data); }
std::string HostName(const std::string& name) { return U8(0) + Prefixed16(name); }
std::string ServerNames(const std::string& list) { return Extension(0, Prefixed16(list)); }
std::string Alpn(const std::string& list) { return Extension(16, Prefixed16(list)); }

const std::string kGoodName = ServerNames(HostName("good.test"));

std::string Body(const std::string& extensions) {
  return U16(0x0303) + std::string(32, 'r') + Prefixed8(std::string(32, 's')) +
         Prefixed16(U16(0x1301) + U16(0xc02b)) + Prefixed8(U8(0)) + Prefixed16(extensions);
}
std::string Message(const std::string& body) { return U8(1) + U24(body.size()) + body; }

// In records of `size` bytes.
std::string Records(const std::string& message, size_t size = 16384) {
  std::string records;
  for (size_t i = 0; i < message.size(); i += size) {
    records += U8(22) + U16(0x0301) + Prefixed16(message.substr(i, size));
  }
  return records;
}
std::string Hello(const std::string& extensions) { return Records(Message(Body(extensions))); }

// "name NAME alpn A,B", "no name", "more" or "not: WHY".
std::string Parse(std::string_view bytes) {
  const auto parsed = ParseClientHello(bytes);
  if (std::holds_alternative<ClientHelloNeedsMore>(parsed)) return "more";
  if (const auto* bad = std::get_if<NotClientHello>(&parsed)) {
    return "not: " + bad->detail.substr(bad->detail.rfind(": ") + 2);
  }
  const auto& hello = std::get<ClientHello>(parsed);
  std::string text = hello.server_name.has_value() ? "name " + *hello.server_name : "no name";
  for (const std::string& protocol : hello.alpn) text += " alpn " + protocol;
  return text;
}

TEST(LooksLikeTlsTest, DecidesByOneByteAndChecksTheSecond) {
  EXPECT_TRUE(LooksLikeTls("\x16"));
  EXPECT_TRUE(LooksLikeTls("\x16\x03"));
  EXPECT_FALSE(LooksLikeTls("\x16\x02"));
  EXPECT_FALSE(LooksLikeTls("G"));
  EXPECT_FALSE(LooksLikeTls("\x80\x2e\x01"));  // SSL 2.
  EXPECT_FALSE(LooksLikeTls(""));
}

TEST(ClientHelloTest, ReadsNameAndProtocols) {
  const std::string protocols = Prefixed8("h2") + Prefixed8("http/1.1");
  EXPECT_EQ(Parse(Hello(kGoodName + Alpn(protocols))), "name good.test alpn h2 alpn http/1.1");
  EXPECT_EQ(Parse(Hello(Extension(0x0a0a, "") + kGoodName)), "name good.test");  // GREASE
  EXPECT_EQ(Parse(Hello("")), "no name");
  EXPECT_EQ(Parse(Hello(ServerNames(HostName("*.Good.Test.")))), "name *.Good.Test.");
}

TEST(ClientHelloTest, TakesOneWithoutExtensions) {
  const std::string body = Body("");
  EXPECT_EQ(Parse(Records(Message(body.substr(0, body.size() - 2)))), "no name");
}

TEST(ClientHelloTest, IgnoresWhatFollowsInLaterRecords) {
  EXPECT_EQ(Parse(Hello(kGoodName) + std::string("\x14\x03\x03\x00\x01\x01", 6)), "name good.test");
}

TEST(ClientHelloTest, TL01_ReassemblesRecordsOfEverySize) {
  const std::string message = Message(Body(kGoodName));
  for (size_t size = 1; size <= message.size(); ++size) {
    EXPECT_EQ(Parse(Records(message, size)), "name good.test") << size;
  }
}

TEST(ClientHelloTest, TL01_AsksForMoreUntilTheLastByte) {
  const std::string message = Message(Body(kGoodName));
  for (const size_t record_size : {size_t{1}, size_t{7}, size_t{16384}}) {
    const std::string bytes = Records(message, record_size);
    for (size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_EQ(Parse(std::string_view(bytes).substr(0, size)), "more") << size;
    }
  }
}

TEST(ClientHelloTest, TL01_ReadsSegmentsOfOneByte) {
  const std::string message = Message(Body(kGoodName));
  for (const size_t record_size : {size_t{1}, size_t{7}, size_t{16384}}) {
    const std::string bytes = Records(message, record_size);
    ClientHelloReader reader;
    for (size_t size = 0; size < bytes.size(); ++size) {
      const auto result = reader.Read(std::string_view(bytes).substr(0, size));
      ASSERT_TRUE(std::holds_alternative<ClientHelloNeedsMore>(result)) << size;
    }
    const auto result = reader.Read(bytes);
    ASSERT_TRUE(std::holds_alternative<ClientHello>(result));
    EXPECT_EQ(std::get<ClientHello>(result).server_name, "good.test");
  }
}

TEST(ClientHelloTest, TL04_TakesEveryRecordVersionOfTls) {
  std::string bytes = Hello(kGoodName);
  for (int minor = 0; minor < 256; ++minor) {
    bytes[2] = static_cast<char>(minor);
    EXPECT_EQ(Parse(bytes), "name good.test");
  }
  bytes[1] = 2;
  EXPECT_EQ(Parse(bytes), "not: a record of another type or version");
}

struct Refusal {
  std::string bytes;
  std::string why;
};

TEST(ClientHelloTest, TL03_RefusesTheMalformed) {
  const std::string nul("good.test\0.evil.test", 20);
  const std::string body = Body(kGoodName);
  const std::string message = Message(body);
  const Refusal refusals[] = {
      {"GET / HTTP/1.1", "a record of another type or version"},
      {"\x15\x03\x03", "a record of another type or version"},
      {"\x14\x03\x03", "a record of another type or version"},
      {"\x17\x03\x03", "a record of another type or version"},
      {Records(U8(2) + message.substr(1)), "another handshake message"},
      {Records(message, 10).substr(0, 15) + "\x14\x03\x03", "a record of another type or version"},
      {U8(22) + U16(0x0301) + U16(0), "an empty record"},
      {U8(22) + U16(0x0301) + U16(16385) + U8(1), "a record that is too long"},
      {Records(message + message), "more than one message in a record"},
      {Records(U8(1) + U24(0)), "empty"},
      {Records(U8(1) + U24(65535)), "too long"},
      {Records(Message(body.substr(0, body.size() - 1))), "malformed extensions"},
      {Records(Message(body + "x")), "malformed extensions"},
      {Records(Message(body.substr(0, 40))), "malformed fields"},
      {Hello(U16(0)), "a malformed extension"},
      {Hello(kGoodName + kGoodName), "an extension twice"},
      {Hello(Extension(7, "") + Extension(7, "")), "an extension twice"},
      {Hello(ServerNames(HostName("good.test") + HostName("evil.test"))),
       "more than one server name"},
      {Hello(ServerNames(HostName(nul))), "a NUL byte in the server name"},
      {Hello(ServerNames(HostName(""))), "a malformed server name"},
      {Hello(ServerNames("")), "a malformed server name"},
      {Hello(ServerNames(U8(1) + Prefixed16("x"))), "a malformed server name"},
      {Hello(Extension(0, "")), "a malformed server name"},
      {Hello(Extension(0, Prefixed16(HostName("x")) + "y")), "a malformed server name"},
      {Hello(Alpn("")), "a malformed ALPN list"},
      {Hello(Alpn(U8(0))), "a malformed ALPN list"},
      {Hello(Alpn(U8(9) + "short")), "a malformed ALPN list"},
  };
  for (const Refusal& refusal : refusals) EXPECT_EQ(Parse(refusal.bytes), "not: " + refusal.why);
}

TEST(ClientHelloTest, TL01_NeverAsksForMoreThanTheLimit) {
  // 64 KiB of records of one byte are a message of 11 KiB only.
  const std::string large = Message(Body(kGoodName + Extension(21, std::string(20000, '\0'))));
  EXPECT_EQ(Parse(Records(large)), "name good.test");
  const std::string slow = Records(large, 1);
  EXPECT_EQ(Parse(std::string_view(slow).substr(0, kMaxClientHelloBytes - 1)), "more");
  EXPECT_EQ(Parse(std::string_view(slow).substr(0, kMaxClientHelloBytes)), "not: too long");
}

TEST(ClientHelloTest, NeverReadsANameOutOfAChangedByte) {
  const std::string bytes = Hello(kGoodName);
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      const auto parsed = ParseClientHello(changed);
      if (const auto* hello = std::get_if<ClientHello>(&parsed)) {
        EXPECT_TRUE(!hello->server_name.has_value() || hello->server_name->size() == 9);
      }
    }
  }
}

TEST(FatalAlertTest, IsARecordOfItsOwn) {
  EXPECT_EQ(FatalAlert(kAlertUnrecognizedName), std::string("\x15\x03\x03\x00\x02\x02\x70", 7));
}

}  // namespace
}  // namespace sallyport::proxy
