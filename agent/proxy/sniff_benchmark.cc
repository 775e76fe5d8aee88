// How long it takes to tell what a connection speaks, once its first bytes are here.

#include <benchmark/benchmark.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "agent/proxy/sniff.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

// As BoringSSL's client sends it.
std::string RealHello() {
  const bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  const bssl::UniquePtr<SSL> client(SSL_new(context.get()));
  BIO* const sent = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), sent);
  SSL_set_tlsext_host_name(client.get(), "api.example.test");
  SSL_connect(client.get());
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  BIO_mem_contents(sent, &bytes, &size);
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

// With what starting a coroutine in the event loop takes.
void SniffBytes(benchmark::State& state, const std::string& bytes) {
  boost::asio::io_context context;
  MemoryStream::Pair pair = MemoryStream::MakePair(context);
  const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::hours(1);
  for (auto _ : state) {
    const Sniffed sniffed = RunTask(context, Sniff(pair.first.get(), deadline, bytes));
    if (std::holds_alternative<SniffedNeither>(sniffed)) state.SkipWithError("not recognised");
  }
}
BENCHMARK_CAPTURE(SniffBytes, http,
                  std::string("GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n"));
BENCHMARK_CAPTURE(SniffBytes, tls, RealHello());

void ReadHello(benchmark::State& state) {
  const std::string hello = RealHello();
  for (auto _ : state) {
    const ClientHelloReader::Result result = ParseClientHello(hello);
    if (!std::holds_alternative<ClientHello>(result)) state.SkipWithError("not parsed");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(hello.size()));
}
BENCHMARK(ReadHello);

}  // namespace
}  // namespace sallyport::proxy
