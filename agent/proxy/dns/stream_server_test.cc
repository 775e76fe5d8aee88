#include "agent/proxy/dns/stream_server.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/dns/message.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using namespace std::string_literals;  // NOLINT: strings with NUL bytes.

Task<bool> ServeToEnd(const DnsServerOptions* options, Stream* stream) {
  co_await ServeDnsStream(options, stream);
  co_return true;
}

// A container that may reach kv.test only, without internet: every answer is ours.
class DnsStreamTest : public testing::Test {
 protected:
  void SetUp() override {
    v1::ContainerClass container_class;
    v1::ContainerPolicy container;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        "name: 'c' enable_internet: false allowed_hosts { hosts: 'kv.test' }", &container_class));
    container.set_container_id("box");
    container.set_class_name("c");
    policy_ = std::make_shared<EffectivePolicy>(
        *EffectivePolicy::FromProto(container_class, container, 1));
  }

  // What comes back for these bytes and their end.
  std::string Serve(const std::string& bytes, const Faults& faults = {}) {
    auto [ours, peer] = MemoryStream::MakePair(context_);
    ours->set_faults(faults);
    ours->Receive(bytes);
    ours->ReceiveEnd();
    const DnsServerOptions options = {
        .container_id = "box",
        .policy = [this] { return policy_; },
        .dns = dns_,
        .open_ranges = &open_ranges_,
        .on_refused =
            [this](std::string_view name, std::string_view reason) {
              refused_.push_back(std::string(name) + ": " + std::string(reason));
            },
    };
    EXPECT_TRUE(RunTask(context_, ServeToEnd(&options, ours.get())));
    EXPECT_TRUE(ours->closed());
    return ours->written();
  }

  static std::string Framed(const std::string& message) {
    std::string framed;
    AppendU16(static_cast<uint16_t>(message.size()), &framed);
    return framed + message;
  }
  static std::string Question(uint16_t id, std::string_view name) {
    std::string message = "\0\0\x01\0\0\x01\0\0\0\0\0\0"s + EncodeDnsName(name);
    WriteU16(id, 0, &message);
    AppendU16(static_cast<uint16_t>(DnsType::kA), &message);
    AppendU16(1, &message);
    return Framed(message);
  }
  // "7:0 8:3": id and code of each reply.
  static std::string Text(std::string_view replies) {
    std::string text;
    while (replies.size() >= 2) {
      const size_t length = static_cast<size_t>(static_cast<unsigned char>(replies[0])) << 8 |
                            static_cast<unsigned char>(replies[1]);
      if (length < 12 || replies.size() < 2 + length) return text + " cut";
      text += (text.empty() ? "" : " ") + std::to_string(static_cast<unsigned char>(replies[3])) +
              ":" + std::to_string(replies[5] & 15);
      replies.remove_prefix(2 + length);
    }
    return text;
  }

  boost::asio::io_context context_{1};
  std::shared_ptr<const EffectivePolicy> policy_;
  std::shared_ptr<ContainerDns> dns_ = std::make_shared<ContainerDns>(DnsLimits());
  OpenRanges open_ranges_;
  std::vector<std::string> refused_;
};

TEST_F(DnsStreamTest, OneQueryAfterTheOther) {
  EXPECT_EQ(Text(Serve(Question(7, "kv.test") + Question(8, "evil.test"))), "7:0 8:3");
  EXPECT_EQ(refused_, std::vector<std::string>{"evil.test: not_allowed"});
}

TEST_F(DnsStreamTest, AByteAtATime) {
  EXPECT_EQ(Text(Serve(Question(7, "kv.test") + Question(8, "kv.test"), {.max_read = 1})),
            "7:0 8:0");
}

TEST_F(DnsStreamTest, AnEndInsideAQueryIsTheEnd) {
  const std::string whole = Question(7, "kv.test");
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(Serve(whole.substr(0, length)), "") << length;
  }
}

TEST_F(DnsStreamTest, WhatIsNoQueryEndsTheConnection) {
  EXPECT_EQ(Text(Serve(Framed("\0\7\x01\0\xff\xff\0\0\0\0\0\0"s) + Question(8, "kv.test"))), "7:1");
  EXPECT_EQ(Serve(Framed("") + Question(8, "kv.test")), "");
  EXPECT_EQ(refused_, std::vector<std::string>{": malformed"});
}

TEST_F(DnsStreamTest, DN13_WhatIsTooLongIsFormErr) {
  const std::string query = Question(7, "kv.test").substr(2);
  for (const size_t length : {kMaxDnsQueryBytes + 1, 2 * kMaxDnsQueryBytes, size_t{0xffff}}) {
    const std::string padded = query + std::string(length - query.size(), '\0');
    EXPECT_EQ(Text(Serve(Framed(padded) + Question(8, "kv.test"))), "7:1") << length;
    EXPECT_EQ(Serve(Framed(padded).substr(0, length)), "") << length;
  }
  EXPECT_EQ(refused_, std::vector<std::string>(3, ": malformed"));
}

TEST_F(DnsStreamTest, OverItsBudgetEverythingIsRefused) {
  dns_ = std::make_shared<ContainerDns>(DnsLimits{.queries_per_second = 0, .queries_at_once = 1});
  EXPECT_EQ(Text(Serve(Question(7, "kv.test") + Question(8, "kv.test"))), "7:0 8:5");
  EXPECT_EQ(refused_, std::vector<std::string>{"kv.test: overloaded"});
}

TEST_F(DnsStreamTest, WithoutPolicyEverythingIsRefused) {
  policy_ = nullptr;
  EXPECT_EQ(Text(Serve(Question(7, "kv.test"))), "7:5");
}

}  // namespace
}  // namespace sallyport::proxy
