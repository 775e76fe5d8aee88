// How long a name or an address takes to be read.

#include <benchmark/benchmark.h>

#include <string>

#include "common/net/host.h"

namespace sallyport {
namespace {

void ParseHost(benchmark::State& state, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(Host::Parse(text));
}
BENCHMARK_CAPTURE(ParseHost, name, "api.example.test");
BENCHMARK_CAPTURE(ParseHost, name_in_capitals, "API.Example.Test");
BENCHMARK_CAPTURE(ParseHost, longest_name,
                  std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') +
                      "." + std::string(61, 'd'));
BENCHMARK_CAPTURE(ParseHost, ipv4, "203.0.113.10");
BENCHMARK_CAPTURE(ParseHost, ipv6, "[2001:db8::1]");
BENCHMARK_CAPTURE(ParseHost, not_one, "api..example.test");

void ParseAuthority(benchmark::State& state, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(Authority::Parse(text));
}
BENCHMARK_CAPTURE(ParseAuthority, name, "api.example.test");
BENCHMARK_CAPTURE(ParseAuthority, name_and_port, "api.example.test:8443");

}  // namespace
}  // namespace sallyport
