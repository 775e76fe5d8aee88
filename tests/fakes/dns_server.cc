// A DNS server for tests and demonstrations. On stdout: "listening ADDRESS:PORT" once it answers,
// then a line for each query, "query api.test A udp".

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "common/base/strings.h"
#include "common/flags/flags.h"
#include "tests/fakes/dns_zone.h"
#include "tests/fakes/fake_dns.h"

namespace {

int Fail(std::string_view message) {
  std::fprintf(stderr, "dns_server: %s\n", std::string(message).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:53";
  std::string zone_file;
  sallyport::FlagSet flags(
      "dns_server",
      "Answers DNS queries over UDP and TCP from a file. It is authoritative for "
      "everything: names that the file lacks do not exist.");
  flags.String("listen", &listen, "ADDRESS:PORT", "Where to listen. Port 0: any free one.");
  flags.String(
      "zone", &zone_file, "FILE",
      "Lines NAME [TTL] TYPE DATA, where TYPE is A, AAAA, CNAME, TXT, MX, PTR or NS, or one of "
      "the faults DROP, SERVFAIL, REFUSED, TRUNCATE. NAME may be *.SUFFIX or *.");
  flags.set_example("dns_server --listen 127.0.0.1:5353 --zone zone.txt");
  flags.ParseOrExit({argv + 1, argv + argc});

  if (zone_file.empty()) return Fail("say which names there are: --zone FILE");
  std::ifstream file(zone_file);
  if (!file) return Fail(sallyport::StrCat("cannot read the zone file ", zone_file));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  absl::StatusOr<sallyport::fakes::DnsZone> zone = sallyport::fakes::DnsZone::Parse(text);
  if (!zone.ok()) return Fail(sallyport::ToStd(zone.status().message()));

  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto server = sallyport::fakes::FakeDns::Start(
      listen, *std::move(zone),
      [](std::string_view line) { std::printf("query %s\n", std::string(line).c_str()); });
  if (!server.ok()) return Fail(sallyport::ToStd(server.status().message()));
  std::printf("listening %s\n", (*server)->address().c_str());
  (*server)->Join();
  return 1;
}
