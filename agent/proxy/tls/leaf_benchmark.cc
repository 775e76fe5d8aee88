// How long a leaf certificate takes: to mint, and to find again.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "agent/proxy/tls/leaf_cache.h"
#include "agent/proxy/tls/testing/certificates.h"

namespace sallyport::proxy {
namespace {

CertificateAuthority MakeAuthority() {
  const Identity root = MakeRoot("root");
  return CertificateAuthority::Create(root.CertificateDer(), root.KeyDer()).value();
}

Host NameOf(int64_t number) {
  return Host::Parse("o" + std::to_string(number) + ".example.test").value();
}

void Mint(benchmark::State& state) {
  const CertificateAuthority authority = MakeAuthority();
  const bssl::UniquePtr<EVP_PKEY> key = GenerateP256Key().value();
  const Host host = NameOf(0);
  const time_t now = time(nullptr);
  for (auto _ : state) {
    if (!authority.Mint(host, key.get(), now).ok()) state.SkipWithError("not minted");
  }
}
BENCHMARK(Mint);

// So many names in turn, of which the cache keeps 1,024.
void Get(benchmark::State& state) {
  const auto cache = LeafCache::Create(MakeAuthority(), [] { return time(nullptr); }).value();
  std::vector<Host> hosts;
  for (int64_t i = 0; i < state.range(0); ++i) hosts.push_back(NameOf(i));
  for (const Host& host : hosts) (void)cache->Get(host);
  size_t next = 0;
  for (auto _ : state) {
    if (!cache->Get(hosts[next]).ok()) state.SkipWithError("not minted");
    next = (next + 1) % hosts.size();
  }
}
BENCHMARK(Get)->ArgName("names")->Arg(1)->Arg(1000)->Arg(2000);

void GenerateKey(benchmark::State& state) {
  for (auto _ : state) {
    if (!GenerateP256Key().ok()) state.SkipWithError("no key");
  }
}
BENCHMARK(GenerateKey);

}  // namespace
}  // namespace sallyport::proxy
