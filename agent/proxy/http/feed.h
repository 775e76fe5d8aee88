// Gives a head to its parser whole and one byte at a time, in tests.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_FEED_H_
#define SALLYPORT_AGENT_PROXY_HTTP_FEED_H_

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "agent/proxy/http/h1_parse.h"

namespace sallyport::proxy {

template <typename Head>
struct Fed {
  static constexpr int kAccepted = 0;
  static constexpr int kIncomplete = -1;
  static constexpr int kDependsOnSegments = -2;

  int status = kIncomplete;  // Else kAccepted, or what BadMessage says.
  std::string detail;
  Head head;
  size_t consumed = 0;
};

template <typename Head, typename Parse>
Fed<Head> FeedOnce(std::string_view bytes, Parse parse) {
  auto result = parse(bytes);
  Fed<Head> fed;
  if (auto* bad = std::get_if<BadMessage>(&result)) {
    fed.status = bad->status;
    fed.detail = bad->detail;
  } else if (auto* parsed = std::get_if<ParsedHead<Head>>(&result)) {
    fed.status = Fed<Head>::kAccepted;
    fed.head = std::move(parsed->head);
    fed.consumed = parsed->consumed;
  }
  return fed;
}

// The answer must not depend on the segments that the bytes come in.
template <typename Head, typename Parse>
Fed<Head> Feed(std::string_view bytes, Parse parse) {
  Fed<Head> whole = FeedOnce<Head>(bytes, parse);
  const size_t step = bytes.size() > 4096 ? 997 : 1;
  for (size_t size = 0; size < bytes.size(); size += step) {
    const Fed<Head> part = FeedOnce<Head>(bytes.substr(0, size), parse);
    if (part.status == Fed<Head>::kIncomplete) continue;
    if (part.status != whole.status || part.detail != whole.detail ||
        part.consumed != whole.consumed) {
      whole.status = Fed<Head>::kDependsOnSegments;
    }
    break;
  }
  return whole;
}

inline Fed<RequestHead> FeedRequest(std::string_view bytes, const H1Limits& limits = {}) {
  return Feed<RequestHead>(bytes, [&](std::string_view b) { return ParseRequestHead(b, limits); });
}

inline Fed<ResponseHead> FeedResponse(std::string_view bytes, std::string_view method = "GET") {
  return Feed<ResponseHead>(
      bytes, [&](std::string_view b) { return ParseResponseHead(b, method, H1Limits{}); });
}

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_FEED_H_
