// The handlers that the benchmarks measure:
//
//   forward    adds a header and forwards
//   lease      the same, leased for an hour for everything below /
//   transform  has both bodies by way of itself, as they are

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "common/flags/flags.h"
#include "sallyport/handler.h"

namespace {

using sallyport::Context;
using sallyport::Forward;
using sallyport::Pass;
using sallyport::Request;

Forward WithHeader(const Request& request) {
  return Forward(request).SetHeader("authorization", "Bearer of-the-benchmark");
}

void Copy(std::optional<std::string_view> piece, sallyport::BodyWriter& out) {
  if (piece.has_value()) out.Write(*piece);
}

sallyport::Answer Transform(const Request& request, const Context&) {
  Forward forward(request);
  if (request.has_body()) forward.TransformRequest(Copy, request.content_length());
  return forward.InspectResponse(
      [](const sallyport::OriginResponse&) { return Pass().TransformBody(Copy); });
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:0";
  int64_t threads = 0;
  sallyport::FlagSet flags("bench_handler", "The handlers that the benchmarks measure.");
  flags.String("listen", &listen, "ADDRESS", "Where to listen.");
  flags.Int("threads", &threads, 0, 256, "N", "Threads for handlers; `transform` needs some.");
  flags.ParseOrExit({argv + 1, argv + argc});
  const auto announce = [](const std::string& address) {
    std::printf("listening on %s\n", address.c_str());
    std::fflush(stdout);
  };
  return sallyport::Serve(
      {.listen = listen, .max_threads = static_cast<int>(threads), .on_listening = announce},
      {
          {"forward", [](const Request& request, const Context&) { return WithHeader(request); }},
          {"lease",
           [](const Request& request, const Context&) {
             return WithHeader(request).SetLease(
                 {.ttl = std::chrono::hours(1), .path_prefix = "/"});
           }},
          {"transform", Transform},
      });
}
