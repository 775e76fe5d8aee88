// Another implementation, Boost.Beast, must accept whatever ours accepts, and read it in the same
// way: else somebody behind us could see another message than we did. (Ours refuses much that Beast
// accepts.)

#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

namespace http = boost::beast::http;

std::string Text(boost::beast::string_view text) { return std::string(text.data(), text.size()); }

template <bool is_request>
void Configure(http::parser<is_request, http::string_body>* parser) {
  parser->eager(true);
  parser->header_limit(std::numeric_limits<uint32_t>::max());
  parser->body_limit(std::numeric_limits<uint64_t>::max());
}

template <typename Fields>
std::string FieldsOf(const Fields& fields) {
  std::string text;
  for (const auto& field : fields)
    text += Text(field.name_string()) + ":" + Text(field.value()) + "\n";
  return text;
}

std::string FieldsOf(const Headers& headers) {
  std::string text;
  for (const Header& field : headers.fields()) text += field.name + ":" + field.value + "\n";
  return text;
}

// Beast keeps fields of one name together, so order is compared within a name only.
std::string Sorted(const std::string& lines) {
  std::multimap<std::string, std::string> sorted;
  size_t at = 0;
  while (at < lines.size()) {
    const size_t end = lines.find('\n', at);
    const std::string line = lines.substr(at, end - at);
    std::string name = line.substr(0, line.find(':'));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    sorted.emplace(std::move(name), line);
    at = end + 1;
  }
  std::string text;
  for (const auto& [name, line] : sorted) text += line + "\n";
  return text;
}

// One exchange's request as ours reads it: head, and body if it is whole.
struct Understood {
  RequestHead head;
  std::string body;
  bool complete = false;
};

Task<std::optional<Understood>> ReadRequest(H1ServerConnection* server) {
  const H1ServerConnection::HeadResult result = co_await server->ReadHead();
  const auto* head = std::get_if<RequestHead>(&result);
  if (head == nullptr) co_return std::nullopt;
  Understood understood{*head, ""};
  while (true) {
    const absl::StatusOr<std::string_view> piece = co_await server->body().Read();
    if (!piece.ok()) co_return understood;
    if (piece->empty()) break;
    understood.body += *piece;
  }
  understood.complete = true;
  co_return understood;
}

std::optional<Understood> OursReads(std::string_view bytes) {
  boost::asio::io_context context(1);
  auto [stream, client] = MemoryStream::MakePair(context);
  stream->Receive(bytes);
  stream->ReceiveEnd();
  H1ServerConnection server(stream.get(), "", H1Limits{}, H1Timeouts{});
  return RunTask(context, ReadRequest(&server));
}

// Returns whether ours accepted the whole request.
bool CompareRequest(const std::string& bytes) {
  const std::optional<Understood> ours = OursReads(bytes);
  if (!ours.has_value()) return false;

  http::request_parser<http::string_body> beast;
  Configure(&beast);
  boost::system::error_code error;
  // The empty line that may precede a request is ours to skip.
  std::string_view rest = bytes;
  if (rest.starts_with("\r\n")) rest.remove_prefix(2);
  while (!error && !beast.is_done() && !rest.empty()) {
    const size_t used = beast.put(boost::asio::buffer(rest.data(), rest.size()), error);
    rest.remove_prefix(used);
    if (used == 0) break;
  }
  // Ours does not look into chunk extensions: it drops them.
  if (error == http::error::bad_chunk_extension) return true;
  EXPECT_TRUE(beast.is_header_done()) << error.message() << "\n" << bytes;
  if (!beast.is_header_done()) return true;
  const auto& request = beast.get();
  EXPECT_EQ(Text(request.method_string()), ours->head.method);
  EXPECT_EQ(request.version(), 10u + ours->head.minor_version);
  const std::string target = Text(request.target());
  if (ours->head.absolute_scheme.empty()) {
    EXPECT_EQ(target, ours->head.target);
  } else {
    EXPECT_TRUE(StartsWithIgnoreCase(target, ours->head.absolute_scheme)) << target;
  }
  const bool chunked = ours->head.framing == BodyFraming::kChunked;
  if (ours->complete) {
    EXPECT_EQ(request.body(), ours->body) << bytes;
    // Beast takes trailers for headers, and ours drops those that would matter there.
    const bool trailer_refused = chunked && error && error != http::error::need_more;
    EXPECT_TRUE(!error || trailer_refused) << error.message() << "\n" << bytes;
    EXPECT_TRUE(beast.is_done() || trailer_refused) << bytes;
    if (!chunked) EXPECT_EQ(beast.keep_alive(), ours->head.keep_alive) << bytes;
  }
  EXPECT_EQ(beast.chunked(), chunked);
  if (ours->head.framing == BodyFraming::kLength) {
    EXPECT_EQ(*beast.content_length(), ours->head.content_length);
  }
  if (!chunked) {
    EXPECT_EQ(Sorted(FieldsOf(request.base())), Sorted(FieldsOf(ours->head.headers))) << bytes;
  }
  return ours->complete;
}

bool HasLegalConnection(const Headers& headers) {
  for (const Header& field : headers.fields()) {
    if (!EqualsIgnoreCase(field.name, "connection")) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const std::string_view option = TakeListElement(&list);
      if (!option.empty() && !IsToken(option)) return false;
    }
  }
  return true;
}

bool CompareResponse(const std::string& bytes) {
  const auto parsed = ParseResponseHead(bytes, "GET", H1Limits{});
  const auto* ours = std::get_if<ParsedHead<ResponseHead>>(&parsed);
  if (ours == nullptr) return false;
  const std::string line = bytes.substr(0, bytes.find('\r'));
  if (!HasLegalConnection(ours->head.headers)) return true;  // Ours takes it for "close".
  if (line.size() < sizeof("HTTP/1.1 200 ") - 1)
    return true;  // Beast insists on the space after the status.

  http::response_parser<http::string_body> beast;
  Configure(&beast);
  boost::system::error_code error;
  beast.put(boost::asio::buffer(bytes.data(), ours->consumed), error);
  if (error == http::error::need_more) error = {};
  EXPECT_FALSE(error) << error.message() << "\n" << bytes;
  EXPECT_TRUE(beast.is_header_done()) << bytes;
  if (!beast.is_header_done()) return true;
  const auto& response = beast.get();
  EXPECT_EQ(static_cast<int>(response.result_int()), ours->head.status);
  if (!ours->head.reason.empty()) {  // Beast fills it in.
    EXPECT_EQ(std::string(TrimWhiteSpace(Text(response.reason()))), ours->head.reason);
  }
  EXPECT_EQ(Sorted(FieldsOf(response.base())), Sorted(FieldsOf(ours->head.headers))) << bytes;
  if (ours->head.framing != BodyFraming::kNone) {
    EXPECT_EQ(beast.chunked(), ours->head.framing == BodyFraming::kChunked);
    EXPECT_EQ(beast.need_eof(), ours->head.framing == BodyFraming::kUntilClose) << bytes;
    EXPECT_EQ(beast.content_length().has_value(), ours->head.framing == BodyFraming::kLength);
  }
  return true;
}

const std::string kRequests[] = {
    "GET / HTTP/1.1\r\nHost: good.test\r\n\r\n",
    "\r\nGET /a/b?c=%20d&e=[]{} HTTP/1.1\r\nhost: good.test:8080\r\nAccept: */*\r\nAccept: "
    "text/html\r\n\r\n",
    "GET http://good.test/a HTTP/1.1\r\nHost: good.test:80\r\nConnection: close, x\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: [2001:db8::1]\r\nX-Empty:\r\nX-High: \xff\xc3\xa9\r\n\r\n",
    "HEAD / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
    "chunked\r\n\r\n5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: "
    "1\r\n\r\n",
    "M-SEARCH /x HTTP/1.1\r\nHost:\ta \t\r\nCookie: a=b; c=d\r\nUpgrade: h2c\r\n\r\n",
};

const std::string kResponses[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 204 No Content\r\nX-Empty:\r\nX-High: \xff\r\n\r\n",
    "HTTP/1.1 500 \r\nConnection: close\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
};

// What tends to be read in two ways.
constexpr std::string_view kPieces[] = {"\r\n",
                                        "\n",
                                        "\r",
                                        " ",
                                        "\t",
                                        ":",
                                        ";",
                                        ",",
                                        "0",
                                        "1",
                                        "5",
                                        "a",
                                        "F",
                                        "\x0b",
                                        "\x80",
                                        "\xff",
                                        "chunked",
                                        "Content-Length: 5\r\n",
                                        "Content-Length: 0\r\n",
                                        "Transfer-Encoding: chunked\r\n",
                                        "Host: a\r\n",
                                        "Connection: close\r\n",
                                        "Connection: keep-alive\r\n",
                                        "HTTP/1.1",
                                        "HTTP/1.0",
                                        "GET ",
                                        "/",
                                        "*",
                                        "http://a",
                                        "Expect: 100-continue\r\n",
                                        "x: y\r\n",
                                        "%",
                                        "#",
                                        "@",
                                        "[",
                                        "]",
                                        "200",
                                        "204",
                                        "304",
                                        "+",
                                        "-",
                                        "_"};

std::string Mutate(std::string text, std::mt19937* random) {
  const auto below = [random](size_t limit) { return limit == 0 ? 0 : (*random)() % limit; };
  const size_t changes = 1 + below(3);
  for (size_t i = 0; i < changes; ++i) {
    const size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 1:
        text.erase(at, 1 + below(4));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
        break;
      case 3:
        text.replace(at, std::min<size_t>(1 + below(8), text.size() - at),
                     kPieces[below(std::size(kPieces))]);
        break;
      default: {
        const std::string copy = text.substr(below(text.size()), below(40));
        text.insert(at, copy);
      }
    }
  }
  return text;
}

constexpr int kMutations = 20'000;

TEST(BeastDifferentialTest, CorpusIsReadAlike) {
  for (const std::string& request : kRequests) EXPECT_TRUE(CompareRequest(request)) << request;
  for (const std::string& response : kResponses) EXPECT_TRUE(CompareResponse(response)) << response;
}

TEST(BeastDifferentialTest, MutatedRequestsAreReadAlike) {
  std::mt19937 random(1);
  int accepted = 0;
  for (int i = 0; i < kMutations && !HasFailure(); ++i) {
    accepted += CompareRequest(Mutate(kRequests[i % std::size(kRequests)], &random));
  }
  EXPECT_GT(accepted, kMutations / 20);
}

TEST(BeastDifferentialTest, MutatedResponsesAreReadAlike) {
  std::mt19937 random(2);
  int accepted = 0;
  for (int i = 0; i < kMutations && !HasFailure(); ++i) {
    accepted += CompareResponse(Mutate(kResponses[i % std::size(kResponses)], &random));
  }
  EXPECT_GT(accepted, kMutations / 20);
}

}  // namespace
}  // namespace sallyport::proxy
