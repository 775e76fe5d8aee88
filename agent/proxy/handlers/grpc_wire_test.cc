#include "agent/proxy/handlers/grpc_wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {
namespace {

using std::string_literals::operator""s;

std::string Frame(std::string_view message) {
  std::string frame(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame.push_back(static_cast<char>(message.size() >> shift));
  }
  return frame.append(message);
}

// The messages of `wire`, appended in pieces of `step` bytes; then what Append said if it was not
// OK.
std::vector<std::string> Decode(std::string_view wire, size_t step) {
  GrpcDecoder decoder;
  std::vector<std::string> messages;
  while (!wire.empty()) {
    const absl::Status status = decoder.Append(wire.substr(0, step));
    wire.remove_prefix(std::min(step, wire.size()));
    while (const auto message = decoder.Next()) messages.emplace_back(*message);
    if (!status.ok()) {
      messages.push_back(status.ToString());
      return messages;
    }
  }
  if (!decoder.at_boundary()) messages.push_back("(part)");
  return messages;
}

TEST(GrpcWireTest, CutsMessagesWhereverTheBytesAreCut) {
  const std::string wire = Frame("one") + Frame("") + Frame(std::string(3000, 'x')) + Frame("four");
  const std::vector<std::string> expected = {"one", "", std::string(3000, 'x'), "four"};
  for (const size_t step : {1, 2, 3, 5, 7, 64, 4096}) {
    EXPECT_EQ(Decode(wire, step), expected) << step;
  }
}

TEST(GrpcWireTest, SaysWhetherAMessageIsUnfinished) {
  const std::string wire = Frame("one") + Frame("two");
  for (size_t length = 1; length < wire.size(); ++length) {
    GrpcDecoder decoder;
    ASSERT_TRUE(decoder.Append(wire.substr(0, length)).ok());
    EXPECT_EQ(decoder.at_boundary(), length == 8) << length;
  }
}

TEST(GrpcWireTest, RefusesWhatIsNotAPlainMessage) {
  struct Case {
    std::string wire;
    std::string_view error;
  };
  const std::vector<Case> cases = {
      {"\1\0\0\0\1x"s, "compressed"},
      {"\2\0\0\0\1x"s, "not gRPC messages"},
      {"\xff"s, "not gRPC messages"},
      {"HTTP/1.1 200 OK\r\n"s, "not gRPC messages"},
      {"\0\xff\xff\xff\xff"s, "announced a message of 4294967295 bytes"},
      {"\0\0\x10\0\x41"s, "announced a message of 1048641 bytes"},
  };
  for (const Case& c : cases) {
    for (const size_t step : {1, 1000}) {
      const std::vector<std::string> decoded = Decode(Frame("before") + c.wire, step);
      ASSERT_EQ(decoded.size(), 2u) << c.error;
      EXPECT_EQ(decoded[0], "before");
      EXPECT_NE(decoded[1].find(c.error), std::string::npos) << decoded[1];
    }
  }
}

TEST(GrpcWireTest, TakesAMessageOfTheGreatestLength) {
  const std::string wire = Frame(std::string(kMaxGrpcMessageBytes, 'x'));
  const std::vector<std::string> decoded = Decode(wire, 16 * 1024);
  ASSERT_EQ(decoded.size(), 1u);
  EXPECT_EQ(decoded[0].size(), kMaxGrpcMessageBytes);
}

TEST(GrpcWireTest, EncodesWhatItDecodes) {
  v1::HandleRequest message;
  message.set_body(std::string(70000, 'y'));
  std::string wire;
  ASSERT_TRUE(AppendGrpcMessage(message, &wire).ok());
  ASSERT_TRUE(AppendGrpcMessage(v1::HandleRequest(), &wire).ok());
  EXPECT_EQ(Decode(wire, 999), (std::vector<std::string>{message.SerializeAsString(), ""}));
}

TEST(GrpcWireTest, EncodesNoMessageThatIsTooLong) {
  v1::HandleRequest message;
  message.set_body(std::string(kMaxGrpcMessageBytes, 'y'));
  std::string wire;
  EXPECT_EQ(AppendGrpcMessage(message, &wire).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(wire.empty());
}

}  // namespace
}  // namespace sallyport::proxy
