// What a built-in handler costs a request beside plain egress: `bazel run
// //bench:builtin_benchmark`.

#include <benchmark/benchmark.h>
#include <google/protobuf/text_format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/proxy/builtin/rates.h"
#include "agent/proxy/builtin/secret_table.h"
#include "common/builtin/evaluate.h"

namespace sallyport {
namespace {

constexpr char kTarget[] = "/repos/acme-corporation/widgets/issues/42/comments?per_page=100&page=2";

BuiltinSpec SpecOf(const std::string& text) {
  v1::Builtin message;
  const bool parsed = google::protobuf::TextFormat::ParseFromString(text, &message);
  auto spec = BuiltinSpec::FromProto(message);
  if (!parsed || !spec.ok()) {
    std::fprintf(stderr, "%s\n", std::string(spec.status().message()).c_str());
    std::abort();
  }
  return *std::move(spec);
}

void Run(benchmark::State& state, const std::string& builtin, const std::string& target = kTarget) {
  const BuiltinSpec spec = SpecOf(builtin);
  const BuiltinRequest request{"GET", "https", "api.github.com", "api.github.com", target};
  for (auto _ : state) {
    BuiltinVerdict verdict = EvaluateBuiltin(spec, request);
    benchmark::DoNotOptimize(verdict);
  }
}

void Methods(benchmark::State& state) { Run(state, "allow_methods: ['HEAD', 'OPTIONS', 'GET']"); }
BENCHMARK(Methods);

// The last of so many patterns matches.
void Paths(benchmark::State& state) {
  std::string builtin;
  for (int64_t i = 1; i < state.range(0); ++i) {
    builtin += "allow_paths: '/repos/*/project-" + std::to_string(i) + "/**' ";
  }
  Run(state, builtin + "allow_paths: '/repos/*/widgets/**'");
}
BENCHMARK(Paths)->Arg(1)->Arg(8)->Arg(32);

void EncodedPath(benchmark::State& state) {
  Run(state, "allow_paths: '/repos/**'", "/repos/%61cme/w%C3%AFdgets/%69ssues/42");
}
BENCHMARK(EncodedPath);

void RefusedPath(benchmark::State& state) {
  Run(state, "allow_paths: '/repos/**'", "/repos/../admin");
}
BENCHMARK(RefusedPath);

void PathPrefixes(benchmark::State& state) {
  Run(state, "strip_path_prefix: '/repos' add_path_prefix: '/v3/repositories'");
}
BENCHMARK(PathPrefixes);

void Redirect(benchmark::State& state) {
  Run(state, "redirect { location: 'https://{host}{path}{query}' status: 308 }");
}
BENCHMARK(Redirect);

void Respond(benchmark::State& state) { Run(state, "respond { status: 204 }"); }
BENCHMARK(Respond);

// What is set in place of the container's own header.
void Secret(benchmark::State& state) {
  const BuiltinSpec spec = SpecOf(
      "set_headers { name: 'authorization' " +
      std::string(state.range(0) == 0 ? "prefix: 'Bearer '" : "basic_user: 'x-access-token'") +
      " secret { secret: 'github' } }");
  internal::SecretValues values;
  internal::SecretValues::Entry* const entry = values.add_entries();
  entry->mutable_reference()->set_secret("github");
  entry->set_value("ghp_0123456789abcdefghijABCDEFGHIJ012345");
  const auto secrets = proxy::SecretTable::Take(&values);
  const BuiltinRequest request{"GET", "https", "api.github.com", "api.github.com", kTarget};
  for (auto _ : state) {
    BuiltinVerdict verdict = EvaluateBuiltin(spec, request);
    benchmark::DoNotOptimize(verdict);
    std::string value = spec.set_headers[0].Wrap(secrets->Find(spec.set_headers[0].secret)->value);
    benchmark::DoNotOptimize(value);
  }
}
BENCHMARK(Secret)->ArgName("basic")->Arg(0)->Arg(1);

void RateLimit(benchmark::State& state) {
  static proxy::BuiltinRates rates;
  const std::string handler = "limited";
  for (auto _ : state) {
    auto wait = rates.Take(handler, {1'000'000, 1'000'000}, std::chrono::steady_clock::now());
    benchmark::DoNotOptimize(wait);
  }
}
BENCHMARK(RateLimit)->ThreadRange(1, 2);

// All at once, as a careful operator writes it.
void Everything(benchmark::State& state) {
  Run(state,
      "allow_methods: ['GET', 'HEAD'] allow_paths: ['/user', '/repos/*/widgets/**'] "
      "strip_path_prefix: '/repos' add_path_prefix: '/v3/repos' authority: 'ghe.test' "
      "scheme: 'https' remove_headers: 'cookie' "
      "set_headers { name: 'authorization' secret { env: 'TOKEN' } prefix: 'Bearer ' }");
}
BENCHMARK(Everything);

}  // namespace
}  // namespace sallyport

BENCHMARK_MAIN();
