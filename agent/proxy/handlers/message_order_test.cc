#include "agent/proxy/handlers/message_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace sallyport::proxy {
namespace {

using testing::HasSubstr;

v1::HandleResponse Message(char letter) {
  v1::HandleResponse message;
  switch (letter) {
    case 'R':
      message.mutable_respond();
      break;
    case 'P':
      message.mutable_pass_response();
      break;
    case 'T':
      message.mutable_pass_response()->set_transform_body(true);
      break;
    case 'b':
      message.set_body("x");
      break;
    case 'e':
      message.mutable_end();
      break;
    case 'q':
      message.set_request_body("x");
      break;
    case 'Q':
      message.mutable_request_end();
      break;
    case 'r':
      message.mutable_read_body();
      break;
    case 'B':
      message.mutable_read_response_body();
      break;
    case 'F':
      message.mutable_forward();
      break;
    default:
      break;  // Nothing.
  }
  return message;
}

// What is wrong with the last message of `messages`; "over" or "more" if nothing is. `O`: the
// handler is told of the origin's response, `o`: of one without a body; other letters as above.
std::string After(MessageOrder order, const std::string& messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i] == 'O' || messages[i] == 'o') {
      order.OnOriginResponse(messages[i] == 'O');
      continue;
    }
    const absl::Status status = order.OnMessage(Message(messages[i]));
    if (!status.ok()) {
      EXPECT_EQ(i, messages.size() - 1) << messages << ": " << status;
      return std::string(status.message());
    }
  }
  return order.over() ? "over" : "more";
}

const MessageOrder kInspects(false, true);
const MessageOrder kTransforms(true, false);
const MessageOrder kBoth(true, true);

TEST(MessageOrderTest, Legal) {
  for (const char* messages :
       {"OP", "OTe", "OTbbe", "ORe", "ORbe", "OBRbe", "OBTbbe", "oP", "oTe", "oRe"})
    EXPECT_EQ(After(kInspects, messages), "over") << messages;
  for (const char* messages : {"", "O", "OT", "OR", "OTb", "OB", "OBR", "OBT"})
    EXPECT_EQ(After(kInspects, messages), "more") << messages;
  for (const char* messages : {"Q", "qqQ"}) EXPECT_EQ(After(kTransforms, messages), "over");
  // Either body may end first, and they may mix.
  for (const char* messages :
       {"QOP", "qOTbqbQbe", "OTeqQ", "OTqbeQ", "OPQ", "ORqbeQ", "OBqTbQe", "QOBRe"})
    EXPECT_EQ(After(kBoth, messages), "over") << messages;
  for (const char* messages : {"OP", "Q", "OTbe", "QO"})
    EXPECT_EQ(After(kBoth, messages), "more") << messages;
  EXPECT_EQ(After(MessageOrder::AfterRespond(), "be"), "over");
}

TEST(MessageOrderTest, Illegal) {
  const std::map<std::string, std::string> cases = {
      {"P", "before it was told the origin's response"},
      {"R", "before it was told the origin's response"},
      {"OPP", "answers the container twice"},
      {"OPR", "answers the container twice"},
      {"OTT", "answers the container twice"},
      {"b", "before its head or after its end"},
      {"Ob", "before its head or after its end"},
      {"OPb", "before its head or after its end"},
      {"OPe", "before its head or after its end"},
      {"OTeb", "before its head or after its end"},
      {"OTee", "before its head or after its end"},
      {"q", "without transform_request or after its end"},
      {"Q", "without transform_request or after its end"},
      {"r", "asks for the body after its Forward"},
      {"B", "asks for the origin's body before it was told"},
      {"OBB", "asks for the origin's body twice"},
      {"OBP", "by itself after it has read it; set transform_body"},
      {"OBb", "before its head or after its end"},
      {"oB", "the body of an origin's response that has none"},
      {"OPB", "after it has answered the container"},
      {"ORB", "after it has answered the container"},
      {"OTB", "after it has answered the container"},
      {"OBTB", "after it has answered the container"},
      {"F", "forwards twice"},
      {"-", "without content"},
  };
  for (const auto& [messages, error] : cases)
    EXPECT_THAT(After(kInspects, messages), HasSubstr(error)) << messages;
  for (const char* messages : {"Qq", "QQ", "qQq"})
    EXPECT_THAT(After(kBoth, messages), HasSubstr("or after its end")) << messages;
  for (const char* messages : {"P", "R", "b", "e"})
    EXPECT_FALSE(After(kTransforms, messages).ends_with("more")) << messages;
  EXPECT_THAT(After(MessageOrder::AfterRespond(), "eb"), HasSubstr("after its end"));
}

}  // namespace
}  // namespace sallyport::proxy
