// What a decision costs, and what a rule weighs: `bazel run //bench:decide_benchmark`.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "common/policy/decide.h"

namespace sallyport {
namespace {

constexpr size_t kHosts = 4096;  // Asked in turn, so that no single one stays in the cache.

std::string Name(size_t i) {
  // Spread over the table in another order than that of registration.
  return "svc-" + std::to_string(i * 7919 % 1'000'003) + ".region" + std::to_string(i % 97) +
         ".example.com";
}

struct Given {
  int exact_rules = 0;  // Handler rules of the container.
  int globs = 0;        // Handler rules of the container, behind those.
  int allowed = 0;      // Exact entries of allowed_hosts.
  int denied_networks = 0;
  std::string glob_prefix = "*.";
  std::string glob_suffix = ".example.org";
};

EffectivePolicy Build(const Given& given) {
  v1::ContainerClass of_class;
  of_class.set_name("c");
  v1::ContainerPolicy container;
  container.set_container_id("i");
  container.set_class_name("c");
  const auto add_rule = [&](const std::string& host) {
    v1::HostRule& rule = *container.add_outbound_by_host();
    rule.set_host(host);
    rule.mutable_handler()->set_handler("h");
  };
  for (int i = 0; i < given.exact_rules; ++i) add_rule(Name(i));
  for (int i = 0; i < given.globs; ++i) {
    add_rule(given.glob_prefix + "tenant" + std::to_string(i) + given.glob_suffix);
  }
  for (int i = 0; i < given.allowed; ++i) of_class.mutable_allowed_hosts()->add_hosts(Name(i));
  for (int i = 0; i < given.denied_networks; ++i) {
    of_class.mutable_denied_hosts()->add_hosts(
        IpAddress::FromV4(0xc6120000u + (static_cast<uint32_t>(i) << 8)).ToString() + "/24");
  }
  const auto policy = EffectivePolicy::FromProto(of_class, container, 1);
  if (!policy.ok()) {
    std::fprintf(stderr, "%s\n", std::string(policy.status().message()).c_str());
    std::abort();
  }
  return *policy;
}

std::vector<Host> Hosts(size_t names, const std::string& ending = "") {
  std::mt19937 random(1);
  std::vector<Host> hosts;
  for (size_t i = 0; i < kHosts; ++i)
    hosts.push_back(*Host::Parse(Name(random() % names) + ending));
  return hosts;
}

void Decide(benchmark::State& state, const EffectivePolicy& policy,
            const std::vector<Host>& hosts) {
  const IpAddress dialled = *IpAddress::Parse("203.0.113.10");
  size_t i = 0;
  for (auto unused : state) {
    benchmark::DoNotOptimize(
        DecideRequest(policy, RequestScheme::kHttps, hosts[i++ % kHosts], dialled));
  }
}

// Rules of every kind, ten in all.
void BM_TenRules(benchmark::State& state) {
  v1::ContainerClass of_class;
  of_class.set_name("c");
  for (const char* host : {"*.pkgs.example", "github.com", "*.example.com"}) {
    of_class.mutable_allowed_hosts()->add_hosts(host);
  }
  for (const char* host : {"pastebin.com", "198.51.100.0/24"}) {
    of_class.mutable_denied_hosts()->add_hosts(host);
  }
  v1::ContainerPolicy container;
  container.set_container_id("i");
  container.set_class_name("c");
  for (const char* host : {"github.com", "my.kv", "*.svc.local"}) {
    v1::HostRule& rule = *of_class.add_outbound_by_host();
    rule.set_host(host);
    rule.mutable_handler()->set_handler("h");
  }
  for (const char* host : {"api.stripe.com", "*.internal"}) {
    v1::HostRule& rule = *container.add_outbound_by_host();
    rule.set_host(host);
    rule.mutable_handler()->set_handler("g");
  }
  Decide(state, *EffectivePolicy::FromProto(of_class, container, 1), Hosts(1000));
}
BENCHMARK(BM_TenRules);

// As many exact rules as the argument says. Hits reach a handler, misses go through every step.
void BM_ExactRulesHit(benchmark::State& state) {
  const int rules = static_cast<int>(state.range(0));
  Decide(state, Build({.exact_rules = rules}), Hosts(rules));
}
void BM_ExactRulesMiss(benchmark::State& state) {
  const int rules = static_cast<int>(state.range(0));
  Decide(state, Build({.exact_rules = rules}), Hosts(rules, ".test"));
}
BENCHMARK(BM_ExactRulesHit)->Arg(10)->Arg(1000)->Arg(100'000);
BENCHMARK(BM_ExactRulesMiss)->Arg(10)->Arg(1000)->Arg(100'000);

// The target: 100,000 exact rules and 1,000 globs in one container.
Given ManyRules() { return {.exact_rules = 99'000, .globs = 1'000}; }
void BM_ManyRulesAndGlobsHit(benchmark::State& state) {
  Decide(state, Build(ManyRules()), Hosts(99'000));
}
void BM_ManyRulesAndGlobsMiss(benchmark::State& state) {
  Decide(state, Build(ManyRules()), Hosts(99'000, ".test"));
}
void BM_ManyRulesAndGlobsHitGlob(benchmark::State& state) {
  std::vector<Host> hosts;
  for (size_t i = 0; i < kHosts; ++i) {
    hosts.push_back(*Host::Parse("api.tenant" + std::to_string(i * 7 % 1000) + ".example.org"));
  }
  Decide(state, Build(ManyRules()), hosts);
}
// Two full lists: every step has a large table to look in.
void BM_ManyRulesAndAllowedHosts(benchmark::State& state) {
  Given given = ManyRules();
  given.allowed = 99'000;
  given.denied_networks = 256;
  Decide(state, Build(given), Hosts(99'000));
}
BENCHMARK(BM_ManyRulesAndGlobsHit);
BENCHMARK(BM_ManyRulesAndGlobsMiss);
BENCHMARK(BM_ManyRulesAndGlobsHitGlob);
BENCHMARK(BM_ManyRulesAndAllowedHosts);

// Globs of other shapes: the differing part last, or between two stars.
void BM_GlobsByPrefix(benchmark::State& state) {
  Decide(state, Build({.globs = 1000, .glob_prefix = "", .glob_suffix = "*"}), Hosts(1000));
}
void BM_GlobsByMiddle(benchmark::State& state) {
  Decide(state, Build({.globs = 1000, .glob_prefix = "*", .glob_suffix = "*"}), Hosts(1000));
}
BENCHMARK(BM_GlobsByPrefix);
BENCHMARK(BM_GlobsByMiddle);

// The worst: globs of one repeated letter and a host full of it, so that no piece tells them apart
// and each glob is tried to the host's end.
void BM_WorstGlobs(benchmark::State& state) {
  v1::ContainerClass of_class;
  of_class.set_name("c");
  v1::ContainerPolicy container;
  container.set_container_id("i");
  container.set_class_name("c");
  for (int i = 0; i < 1000; ++i) {
    v1::HostRule& rule = *container.add_outbound_by_host();
    rule.set_host("*" + std::string(4 + i % 50, 'a') + "*" + std::string(1 + i / 50, 'a') + "b*");
    rule.mutable_handler()->set_handler("h");
  }
  const std::string label(63, 'a');
  const std::vector<Host> hosts(kHosts, *Host::Parse(label + "." + label + "." + label));
  Decide(state, *EffectivePolicy::FromProto(of_class, container, 1), hosts);
}
BENCHMARK(BM_WorstGlobs);

void PrintMemory() {
  const EffectivePolicy exact = Build({.exact_rules = 100'000});
  const EffectivePolicy globs = Build({.globs = 1'000});
  const EffectivePolicy list = Build({.allowed = 100'000});
  std::printf("bytes a rule: exact handler rule %.0f, glob rule %.0f, exact list entry %.0f\n",
              static_cast<double>(exact.instance_rules.MemoryBytes()) / 100'000,
              static_cast<double>(globs.instance_rules.MemoryBytes()) / 1'000,
              static_cast<double>(list.allowed_hosts->MemoryBytes()) / 100'000);
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  sallyport::PrintMemory();
  return 0;
}
