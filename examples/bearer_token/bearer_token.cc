// A handler that gives requests a bearer token which the container never sees.
//
//   bearer_token --handler authenticated-github --token-file /run/secrets/github --listen
//   127.0.0.1:7070 sallyport handler register authenticated-github --endpoint grpc://127.0.0.1:7070
//   --holds-secrets sallyport set-outbound-by-host CONTAINER api.github.com authenticated-github

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "examples/flags.h"
#include "sallyport/handler.h"

using sallyport::Answer, sallyport::Context, sallyport::Forward, sallyport::Request;

namespace {

constexpr char kUsage[] =
    "usage: bearer_token (--token-file FILE | --token-env VARIABLE) [--listen ADDRESS] [--handler "
    "NAME]\n";

std::optional<std::string> ReadToken(const std::string& file, const std::string& variable) {
  std::string token;
  if (!file.empty()) {
    std::ifstream in(file);
    token.assign(std::istreambuf_iterator<char>(in), {});
  } else if (const char* value = std::getenv(variable.c_str())) {
    token = value;
  }
  // Editors end files with a line break; in a header it would be an error.
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty()) return std::nullopt;
  return token;
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags flags = {{"--listen", "127.0.0.1:7070"},
                           {"--token-file", ""},
                           {"--token-env", ""},
                           {"--handler", "bearer-token"}};
  if (!examples::ParseFlags(argc, argv, &flags)) return std::fputs(kUsage, stderr), 2;
  if (!ReadToken(flags["--token-file"], flags["--token-env"]).has_value()) {
    return std::fputs("bearer_token: there is no token in the file or variable that was named\n",
                      stderr),
           2;
  }

  // Read anew each time: a rotated token counts from the next request on.
  const auto handler = [&flags](const Request& request, const Context&) -> Answer {
    const std::optional<std::string> token = ReadToken(flags["--token-file"], flags["--token-env"]);
    if (!token.has_value()) return absl::UnavailableError("the token cannot be read");
    return Forward(request).SetHeader("authorization", "Bearer " + *token);
  };
  return sallyport::Serve({.listen = flags["--listen"], .on_listening = examples::PrintAddress},
                          {{flags["--handler"], handler}});
}
