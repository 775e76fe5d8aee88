#include "agent/proxy/handlers/grpc_response.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sallyport::proxy {
namespace {

using std::string_literals::operator""s;

using Fields = std::vector<std::pair<std::string, std::string>>;

const Fields kHead = {{":status", "200"}, {"content-type", "application/grpc"}};
const std::string kMessage = "\0\0\0\0\3abc"s;

void Block(GrpcResponse& response, const Fields& fields) {
  for (const auto& [name, value] : fields) response.OnField(name, value);
  response.OnFieldsEnd();
}

std::string Result(const GrpcResponse& response) {
  if (!response.result().has_value()) return "none";
  return response.result()->ToString();
}

TEST(GrpcResponseTest, HeadersMessagesTrailers) {
  GrpcResponse response;
  Block(response, kHead);
  EXPECT_EQ(Result(response), "none");
  response.OnData(kMessage + kMessage);
  Block(response, {{"grpc-status", "0"}});
  response.OnEnd();
  EXPECT_EQ(response.NextMessage(), "abc");
  EXPECT_EQ(response.NextMessage(), "abc");
  EXPECT_EQ(response.NextMessage(), std::nullopt);
  EXPECT_EQ(Result(response), "OUT_OF_RANGE: the handler ended the call");
}

TEST(GrpcResponseTest, InformationalHeadersComeFirst) {
  GrpcResponse response;
  Block(response, {{":status", "103"}, {"content-type", "text/html"}});
  Block(response, kHead);
  EXPECT_EQ(Result(response), "none");
}

// One block of fields that ends the stream.
TEST(GrpcResponseTest, TrailersOnly) {
  struct Case {
    Fields fields;
    std::string_view result;
  };
  const std::vector<Case> cases = {
      {{{"grpc-status", "0"}}, "OUT_OF_RANGE: the handler ended the call"},
      {{{"grpc-status", "00"}}, "OUT_OF_RANGE: the handler ended the call"},
      {{{"grpc-status", "7"}}, "INTERNAL: the handler ended the call with PERMISSION_DENIED"},
      {{{"grpc-status", "5"}, {"grpc-message", "no%20handler"}},
       "INTERNAL: the handler ended the call with NOT_FOUND: no handler"},
      {{{"grpc-status", "16"}}, "INTERNAL: the handler ended the call with UNAUTHENTICATED"},
      {{}, "INTERNAL: the handler ended the call without a grpc-status"},
      {{{"grpc-status", ""}}, "INTERNAL: the handler's grpc-status is not a status code"},
      {{{"grpc-status", "17"}}, "INTERNAL: the handler's grpc-status is not a status code"},
      {{{"grpc-status", "-1"}}, "INTERNAL: the handler's grpc-status is not a status code"},
      {{{"grpc-status", "000"}}, "INTERNAL: the handler's grpc-status is not a status code"},
      {{{"grpc-status", "0"}, {"grpc-status", "0"}},
       "INTERNAL: the handler sent a gRPC header field twice"},
  };
  for (const Case& c : cases) {
    GrpcResponse response;
    Fields fields = kHead;
    fields.insert(fields.end(), c.fields.begin(), c.fields.end());
    Block(response, fields);
    response.OnEnd();
    EXPECT_EQ(Result(response), c.result);
  }
}

TEST(GrpcResponseTest, RefusesHeadersThatAreNotGrpc) {
  struct Case {
    Fields fields;
    std::string_view result;
  };
  const std::vector<Case> cases = {
      {{{":status", "200"}, {"content-type", "application/grpc+proto"}}, "none"},
      {{{":status", "200"}, {"content-type", "application/grpc;x=y"}}, "none"},
      {{{":status", "200"}, {"content-type", "application/grpc-web"}},
       "INTERNAL: the handler's content-type is not application/grpc"},
      {{{":status", "200"}, {"content-type", "text/html"}},
       "INTERNAL: the handler's content-type is not application/grpc"},
      {{{":status", "200"}}, "INTERNAL: the handler's content-type is not application/grpc"},
      {{{":status", "503"}, {"content-type", "application/grpc"}},
       "INTERNAL: the handler answered HTTP status 503 to a gRPC call"},
      {{{"content-type", "application/grpc"}},
       "INTERNAL: the handler answered HTTP status none to a gRPC call"},
      {{{":status", "200"}, {"x", std::string(17000, 'x')}},
       "INTERNAL: the handler's header fields are longer than 16 KiB"},
  };
  for (const Case& c : cases) {
    GrpcResponse response;
    Block(response, c.fields);
    EXPECT_EQ(Result(response), c.result);
  }
}

TEST(GrpcResponseTest, AnEndWithinAMessageIsNotAnEnd) {
  GrpcResponse response;
  Block(response, kHead);
  response.OnData(kMessage.substr(0, 6));
  Block(response, {{"grpc-status", "0"}});
  response.OnEnd();
  EXPECT_EQ(Result(response), "INTERNAL: the handler ended the call within a message");
}

TEST(GrpcResponseTest, MessagesBeforeABadOneAreKept) {
  GrpcResponse response;
  Block(response, kHead);
  response.OnData(kMessage + "\1");
  EXPECT_EQ(response.NextMessage(), "abc");
  EXPECT_EQ(Result(response), "INTERNAL: the handler compressed a message; none was offered");
}

TEST(GrpcResponseTest, NothingCountsAfterTheResult) {
  GrpcResponse response;
  response.Fail(absl::UnavailableError("lost"));
  Block(response, kHead);
  response.OnData(kMessage);
  response.OnEnd();
  EXPECT_EQ(response.NextMessage(), std::nullopt);
  EXPECT_EQ(Result(response), "UNAVAILABLE: lost");
}

TEST(GrpcResponseTest, GrpcMessagesArePrintable) {
  EXPECT_EQ(PrintableGrpcMessage("100%25 sure%2C %e2%82%ac"), "100% sure, ???");
  EXPECT_EQ(PrintableGrpcMessage("a%0d%0ab\tc"), "a??b?c");
  EXPECT_EQ(PrintableGrpcMessage("%zz %4 %"), "%zz %4 %");
  EXPECT_EQ(PrintableGrpcMessage(std::string(1000, 'x')), std::string(256, 'x'));
}

}  // namespace
}  // namespace sallyport::proxy
