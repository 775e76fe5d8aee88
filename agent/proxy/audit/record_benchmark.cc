// How long a record takes to become a line.

#include <benchmark/benchmark.h>

#include <string>

#include "agent/proxy/audit/record.h"

namespace sallyport::proxy {
namespace {

AuditRecord Egress(std::string path) {
  AuditRecord record;
  record.time = std::chrono::system_clock::now();
  record.request_id = "0123456789abcdef-1f4a";
  record.container_id = "agent-7c9e";
  record.class_name = "untrusted-agent";
  record.scheme = "https";
  record.host = "api.example.test";
  record.port = 443;
  record.dialled = "203.0.113.10";
  record.method = "GET";
  record.path = std::move(path);
  record.decision = "egress";
  record.rule = "allowed_hosts *.example.test";
  record.revision = 4711;
  record.status = 200;
  record.upstream = "203.0.113.10:443";
  record.bytes_sent = 1024;
  record.duration_us = 12'345;
  return record;
}

void Append(benchmark::State& state, std::string path) {
  const AuditRecord record = Egress(std::move(path));
  std::string line;
  for (auto _ : state) {
    line.clear();
    AppendJsonLine(record, &line);
    benchmark::DoNotOptimize(line.data());
  }
}
BENCHMARK_CAPTURE(Append, usual, "/v1/models/example");
BENCHMARK_CAPTURE(Append, long_path, "/" + std::string(1000, 'a'));
BENCHMARK_CAPTURE(Append, to_be_escaped, "/" + std::string(1000, '"'));

}  // namespace
}  // namespace sallyport::proxy
