#include "cli/handler_register.h"

#include <chrono>
#include <optional>
#include <string>

#include "cli/handler_lines.h"
#include "cli/handler_security_flags.h"
#include "cli/policy/builtin_text.h"
#include "common/base/strings.h"
#include "common/policy/duration.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Stub = v1::HandlerRegistry::Stub;
using std::chrono::milliseconds;

constexpr const char* kCommand = "handler register";

// How a service is called, and asked how it is.
struct ServiceFlags {
  milliseconds timeout{30'000};
  milliseconds connect_timeout{5'000};
  int64_t retries = 0;
  int64_t max_concurrency = 0;
  std::string on_failure = "deny";
  std::optional<std::string> health_check;
  milliseconds health_interval{5'000};
  milliseconds health_timeout{1'000};

  void AddTo(FlagSet* flags);
  // Empty: they go together.
  std::string Problem() const;
  void FillIn(v1::Handler* handler) const;
  friend bool operator==(const ServiceFlags&, const ServiceFlags&) = default;
};

void ServiceFlags::AddTo(FlagSet* flags) {
  flags->Duration("timeout", &timeout, "DURATION",
                  "From a request's head until the handler's answer begins.");
  flags->String("on-failure", &on_failure, "deny|egress",
                "What happens to a request when the handler fails.");
  flags->Duration("connect-timeout", &connect_timeout, "DURATION",
                  "How long an endpoint may take to accept a connection; then the next is tried.");
  flags->Int("retries", &retries, 0, 5, "N",
             "How often a call that failed is made again before anything of a body was sent; the "
             "handler may see a request twice.");
  flags->Int("max-concurrency", &max_concurrency, 0, 1'000'000, "N",
             "Calls that one container may have in flight; more are answered 503. 0: no limit.");
  flags->Optional(
      "health-check", &health_check, "SERVICE",
      "For gRPC: each endpoint is asked by grpc.health.v1, and gets calls only while it "
      "answers SERVING. Without a SERVICE: the server as a whole.");
  flags->Duration("health-interval", &health_interval, "DURATION", "How often it is asked.");
  flags->Duration("health-timeout", &health_timeout, "DURATION", "How long it may take to answer.");
}

std::string ServiceFlags::Problem() const {
  if (on_failure != "deny" && on_failure != "egress")
    return "--on-failure is neither deny nor egress";
  const ServiceFlags defaults;
  if (!health_check.has_value() &&
      (health_interval != defaults.health_interval || health_timeout != defaults.health_timeout))
    return "--health-interval and --health-timeout go with --health-check";
  return "";
}

void ServiceFlags::FillIn(v1::Handler* handler) const {
  SetMilliseconds(timeout.count(), handler->mutable_timeout());
  SetMilliseconds(connect_timeout.count(), handler->mutable_connect_timeout());
  handler->set_retries(static_cast<uint32_t>(retries));
  handler->set_max_concurrency(static_cast<uint32_t>(max_concurrency));
  handler->set_on_failure(on_failure == "egress" ? v1::Handler::ON_FAILURE_EGRESS
                                                 : v1::Handler::ON_FAILURE_DENY);
  if (!health_check.has_value()) return;
  v1::HealthCheck& check = *handler->mutable_health_check();
  check.set_service(*health_check);
  SetMilliseconds(health_interval.count(), check.mutable_interval());
  SetMilliseconds(health_timeout.count(), check.mutable_timeout());
}

// What the words and --live or --builtin say of where it is; empty: they go together.
std::string WordsProblem(const Arguments& words, bool live, bool builtin) {
  if (live && builtin) return "a builtin asks no service: give --live or --builtin";
  if (live && words.size() > 1)
    return "--live is for a handler without endpoints of its own; services may register themselves "
           "beside those that it has";
  if (live || builtin ? words.size() == 1 : words.size() >= 2) return "";
  return "give a name and an endpoint such as grpc://127.0.0.1:7070, unix:/PATH or "
         "http://127.0.0.1:8080, or a name and --builtin, or a name and --live";
}

}  // namespace

int RegisterHandler(const Arguments& arguments) {
  FlagSet flags(
      "sallyport handler register",
      "Says where a handler listens, or what the proxy does in its place; replaces an earlier "
      "registration. Endpoints that services registered by themselves stay.",
      Positional::kAnywhere);
  flags.set_arguments("NAME ENDPOINT… | NAME --live | NAME --builtin JSON");
  flags.set_example(
      "sallyport handler register authenticated-github grpc://127.0.0.1:7070 --timeout 5s "
      "--holds-secrets");
  CommonFlags common;
  WaitFlags wait;
  MutationFlags options;
  // --timeout is the handler's own here.
  ServiceFlags service;
  HandlerSecurityFlags security;
  std::string builtin;
  bool holds_secrets = false;
  bool live = false;
  common.AddTo(&flags);
  options.AddTo(&flags);
  service.AddTo(&flags);
  security.AddTo(&flags);
  flags.Bool("live", &live,
             "No endpoints of its own: services register themselves, and while none is there "
             "requests fail.");
  flags.String("builtin", &builtin, "JSON",
               "No service: what the proxy does by itself, as in docs/builtin-handlers.md, such as "
               "'{allow_methods: [GET, HEAD]}'.");
  flags.Bool("holds-secrets", &holds_secrets, "It adds credentials, and may never fail open.");
  const Arguments words = flags.ParseOrExit(arguments);
  std::string problem = WordsProblem(words, live, !builtin.empty());
  if (problem.empty()) problem = service.Problem();
  if (problem.empty() && !builtin.empty() && service != ServiceFlags()) {
    problem =
        "--timeout, --connect-timeout, --retries, --max-concurrency, --health-check and "
        "--on-failure are for services";
  }
  if (!problem.empty()) return WrongUsage(kCommand, problem);
  v1::RegisterHandlerRequest request;
  v1::Handler& handler = *request.mutable_handler();
  handler.set_name(words[0]);
  handler.mutable_endpoints()->Assign(words.begin() + 1, words.end());
  if (builtin.empty()) {
    service.FillIn(&handler);
  } else {
    const absl::StatusOr<v1::Builtin> parsed = ParseBuiltin(builtin);
    if (!parsed.ok()) return WrongUsage(kCommand, StrCat("--builtin ", parsed.status().message()));
    *handler.mutable_builtin() = *parsed;
  }
  handler.set_holds_secrets(holds_secrets);
  if (const absl::Status filled = security.Fill(&handler); !filled.ok())
    return WrongUsage(kCommand, std::string(filled.message()));
  if (!wait.ToOptions(request.mutable_options())) return kUsage;
  if (!options.ToOptions(request.mutable_options())) return kUsage;
  const Connection connection(Connection::Server::kControlPlane, common);
  const auto stub = v1::HandlerRegistry::NewStub(connection.channel());
  return Call(
      connection, stub.get(), &Stub::RegisterHandler, request, common,
      [](const v1::RegisterHandlerResponse& response) {
        std::printf("handler %s%s%s   %s\n", response.handler().name().c_str(),
                    response.handler().endpoints().empty() ? ", " : " at ",
                    WhatItIs(response.handler()).c_str(), Describe(response.result()).c_str());
      },
      wait.call_time());
}

}  // namespace sallyport::cli
