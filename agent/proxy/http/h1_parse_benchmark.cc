// How long a head takes.

#include <benchmark/benchmark.h>

#include "agent/proxy/http/h1_parse.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kRequest =
    "GET /v1/models/example?limit=20&after=abcdef HTTP/1.1\r\n"
    "Host: api.example.test\r\n"
    "User-Agent: python-requests/2.31.0\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Accept: application/json\r\n"
    "Connection: keep-alive\r\n"
    "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
    "X-Request-Id: 5f0c9f44-5d0f-4c0e-8f0a-1f2e3d4c5b6a\r\n"
    "\r\n";

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: 1234\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: private, max-age=0\r\n"
    "ETag: \"0123456789abcdef\"\r\n"
    "\r\n";

void BM_ParseRequestHead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(ParseRequestHead(kRequest, H1Limits{}));
}
BENCHMARK(BM_ParseRequestHead);

void BM_ParseResponseHead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(ParseResponseHead(kResponse, "GET", H1Limits{}));
}
BENCHMARK(BM_ParseResponseHead);

void BM_ForwardRequestHead(benchmark::State& state) {
  for (auto _ : state) {
    auto parsed = ParseRequestHead(kRequest, H1Limits{});
    RequestHead& head = std::get<ParsedHead<RequestHead>>(parsed).head;
    RemoveHopByHop(&head.headers);
    benchmark::DoNotOptimize(SerializeRequestHead(head, "api.example.test", head.headers,
                                                  head.framing, head.content_length));
  }
}
BENCHMARK(BM_ForwardRequestHead);

}  // namespace
}  // namespace sallyport::proxy
