// A handler service for tests: writes each call as a JSON line on stdout, and behaves as its
// handler's name says.
//
//   inject    forwards with `authorization: Bearer of-the-handler`, or with the header of its param
//             `header`
//   reroute   forwards to the host of its param `to`
//   fail      fails
//   stall     answers after two seconds
//   others    respond with the call's JSON

#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "common/flags/flags.h"
#include "sallyport/handler.h"

namespace {

using sallyport::Answer;
using sallyport::Context;
using sallyport::Forward;
using sallyport::Request;
using sallyport::Respond;

constexpr std::chrono::seconds kStallTime{2};

std::string Json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

// {"handler": …, "container": …, "params": …, …} as one line.
std::string Describe(const Request& request, const Context& context, const std::string& body) {
  google::protobuf::Struct call;
  auto& fields = *call.mutable_fields();
  fields["handler"].set_string_value(context.handler);
  fields["container"].set_string_value(context.container_id);
  fields["class"].set_string_value(context.class_name);
  fields["method"].set_string_value(request.method());
  fields["scheme"].set_string_value(request.scheme());
  fields["authority"].set_string_value(request.authority());
  fields["path"].set_string_value(request.path());
  fields["body"].set_string_value(body);
  *fields["params"].mutable_struct_value() = context.params;
  auto& headers = *fields["headers"].mutable_struct_value()->mutable_fields();
  for (const sallyport::Header& header : request.headers())
    headers[header.name].set_string_value(header.value);
  return Json(call);
}

Answer Handle(const Request& request, const Context& context) {
  const bool forwards = context.handler == "inject" || context.handler == "reroute";
  std::string body;
  if (request.has_body() && !forwards) {
    absl::StatusOr<std::string> read = request.ReadBody();
    if (!read.ok()) return read.status();
    body = *std::move(read);
  }
  const std::string call = Describe(request, context, body);
  std::printf("%s\n", call.c_str());
  std::fflush(stdout);
  if (context.handler == "inject") {
    const std::string header = context.Param("header");
    return Forward(request).SetHeader(header.empty() ? "authorization" : header,
                                      "Bearer of-the-handler");
  }
  if (context.handler == "reroute") return Forward(request).SetAuthority(context.Param("to"));
  if (context.handler == "fail") return absl::InternalError("as its name says");
  if (context.handler == "stall") std::this_thread::sleep_for(kStallTime);
  return Respond(200, call, {{"content-type", "application/json"}});
}

}  // namespace

int main(int argc, char** argv) {
  std::string listen = "127.0.0.1:0";
  std::vector<std::string> others;
  sallyport::FlagSet flags("recording_handler", "A handler service for tests.");
  flags.String("listen", &listen, "ADDRESS", "Where to listen.");
  flags.StringList("handler", &others, "NAME",
                   "A handler that responds. May be given more than once.");
  flags.ParseOrExit({argv + 1, argv + argc});
  sallyport::Handlers handlers;
  for (const char* name : {"inject", "reroute", "fail", "stall"}) handlers[name] = Handle;
  for (const std::string& name : others) handlers[name] = Handle;
  const auto announce = [](const std::string& address) {
    std::printf("listening on %s\n", address.c_str());
    std::fflush(stdout);
  };
  return sallyport::Serve({.listen = listen, .on_listening = announce}, handlers);
}
