// Handlers for Sallyport, in C++: services that answer, change, re-route or refuse the requests of
// containers.
//
//   #include "sallyport/handler.h"
//
//   using sallyport::Context, sallyport::Forward, sallyport::Request;
//
//   int main() {
//     return sallyport::Serve({.listen = "127.0.0.1:7070"}, {
//         {"authenticated-github", [](const Request& request, const Context& context) {
//            return Forward(request).SetHeader("authorization", "Bearer " +
//            TokenFor(context.container_id));
//          }},
//     });
//   }
//
// A handler is called once for each request that a rule sends to it, on a thread of the server's,
// many at a time: what it shares with other calls it must protect. It may block. It returns one of
//   Forward       the request goes on to its origin, with changes; its body never comes here,
//   unless it is to be transformed, and the origin's answer neither, unless it is to be inspected
//   Respond       the handler's own response
//   absl::Status  it failed: the container gets a 502 and sees nothing of the text, which is for
//   the operator's audit log
// An exception that it lets out is a failure too; its text stays in this process
// (ServeOptions::on_exception).

#ifndef SALLYPORT_SDK_CPP_SALLYPORT_HANDLER_H_
#define SALLYPORT_SDK_CPP_SALLYPORT_HANDLER_H_

#include <google/protobuf/struct.pb.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport {
inline namespace handler_sdk {

struct Header {
  std::string name;
  std::string value;  // Bytes; no CR, LF or NUL.
};

// Who asks, and why this handler is asked. Comes from the proxy; a container cannot forge it.
struct Context {
  std::string container_id;
  std::string class_name;
  std::string handler;              // The name in the rule.
  google::protobuf::Struct params;  // The rule's params.
  std::string rule;                 // The rule that matched, as "instance github.com".
  uint64_t policy_revision = 0;
  std::string request_id;  // Also in the audit log.
  std::string
      dialled_address;  // What the container dialled; says nothing about where the request goes.
  uint16_t dialled_port = 0;
  std::string tls_version;  // Such as "TLSv1.3"; empty: plain HTTP.
  std::string
      tls_server_name;       // What the container asked for by SNI; empty: nothing, or plain HTTP.
  std::string http_version;  // The container's: "HTTP/1.0", "HTTP/1.1" or "HTTP/2".
  // Who asks, signed by the agent (a JWT; docs/handlers.md says how to verify it). Empty: the
  // handler is registered without. Whoever has it is the container: log it nowhere.
  std::string identity_token;

  // A param that is a string; `fallback` if there is none of that name, or it is not a string.
  std::string Param(const std::string& name, std::string fallback = "") const;
};

class BodySource;  // Internal.

// A container's request. Valid while its handler runs.
class Request {
 public:
  const std::string& method() const { return method_; }
  const std::string& scheme() const { return scheme_; }  // "http" or "https".
  const std::string& authority() const {
    return authority_;
  }  // Host, with ":port" unless it is the scheme's own.
  const std::string& path() const { return path_; }  // With the query, as received.
  const std::vector<Header>& headers() const {
    return headers_;
  }  // Names in lower case, without `host`.
  // The first header of that name, whatever its case.
  std::optional<std::string> header(std::string_view name) const;
  bool has_body() const { return has_body_; }
  std::optional<uint64_t> content_length() const {
    return content_length_;
  }  // Absent: not known beforehand.

  // The body, or what is left of it; waits until all of it is here. After this (or ReadPiece) the
  // request can be forwarded only with a body that is set or transformed. RESOURCE_EXHAUSTED: it is
  // longer than `limit` bytes. CANCELLED: the container hung up.
  absl::StatusOr<std::string> ReadBody(size_t limit = 16 * 1024 * 1024) const;
  // The next piece, at most 64 KiB; no value: the body is complete. The container's sending is
  // slowed down to the pace of these calls.
  absl::StatusOr<std::optional<std::string>> ReadPiece() const;

 private:
  friend class RequestBuilder;

  std::string method_;
  std::string scheme_;
  std::string authority_;
  std::string path_;
  std::vector<Header> headers_;
  bool has_body_ = false;
  std::optional<uint64_t> content_length_;
  BodySource* body_ = nullptr;
};

// Takes a body.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  // Waits until the container keeps up. False: nobody wants more; stop.
  virtual bool Write(std::string_view bytes) = 0;
};

// Called with each piece of a body, and once without one at its end: what it writes to `out` takes
// their place. Trailers pass as they are.
using BodyTransform = std::function<void(std::optional<std::string_view> piece, BodyWriter& out)>;

// For which further requests of the same container, scheme, host and port, under the same rule, an
// answer holds: the proxy acts on them by itself. It ends early when the rule, its params or the
// handler's registration changes.
struct Lease {
  std::chrono::milliseconds ttl{0};       // Required: 1 ms to 1 h.
  uint32_t max_uses = 0;                  // 0: any number.
  std::vector<std::string> methods = {};  // Empty: that of this request.
  // Itself and what lies below it, by whole segments. Empty: the path of this request alone,
  // whatever its query.
  std::string path_prefix = {};
};

// The handler's own response. `status`: 200 to 599.
class Respond {
 public:
  // `content-length` is added.
  explicit Respond(int status, std::string body = "", std::vector<Header> headers = {});

  // Replaces every header of that name.
  Respond& SetHeader(std::string_view name, std::string value);
  Respond& AddHeader(std::string name, std::string value);
  // The body is what `write` writes; it runs after the handler has returned, on the same thread,
  // and keeps what it needs. An exception that it lets out breaks the response off, so that the
  // container sees an error.
  Respond& StreamBody(std::function<void(BodyWriter&)> write);
  // The body may have at most 64 KiB.
  Respond& SetLease(Lease lease);
  // As in Forward.
  Respond& RevokeLeases();

 private:
  friend class AnswerWriter;

  int status_;
  std::vector<Header> headers_;
  std::string body_;
  std::function<void(BodyWriter&)> stream_;
  std::optional<Lease> lease_;
  bool revoke_leases_ = false;
};

// What the origin answered.
struct OriginResponse {
  int status = 0;               // 200 to 599.
  std::vector<Header> headers;  // Names in lower case.
  bool has_body = false;
  std::optional<uint64_t> content_length;  // Absent: not known beforehand.

  // The first header of that name, whatever its case.
  std::optional<std::string> header(std::string_view name) const;

  // The body, as of a request; only while it is inspected. Status and headers can still be decided
  // afterwards, but the body then comes from the handler: a Respond, or a Pass that sets or
  // transforms it.
  absl::StatusOr<std::string> ReadBody(size_t limit = 16 * 1024 * 1024) const;
  absl::StatusOr<std::optional<std::string>> ReadPiece() const;

 private:
  friend class RequestBuilder;

  BodySource* body_ = nullptr;
};

// Let the origin's response pass, changed. What is not set stays as received.
class Pass {
 public:
  Pass& SetStatus(int status);  // 200 to 599.
  // Replaces every header of that name.
  Pass& SetHeader(std::string name, std::string value);
  Pass& RemoveHeader(std::string name);
  // The body, or what of it was not read, goes by way of `transform`.
  Pass& TransformBody(BodyTransform transform);
  // The container gets this body, where the origin's response has one.
  Pass& SetBody(std::string body);

 private:
  friend class AnswerWriter;
  friend class Mediation;
  int status_ = 0;
  std::vector<Header> set_headers_;
  std::vector<std::string> remove_headers_;
  BodyTransform transform_;
  std::optional<std::string> body_;
};

// A Respond here takes the place of the origin's response, and has no lease.
using ResponseAnswer = std::variant<Pass, Respond, absl::Status>;

// Send the request on, changed. What is not set stays as received. Names of headers are compared
// without case. The proxy checks the changes, and the new destination against the container's
// `denied_hosts`; what it refuses is a 502 for the container.
class Forward {
 public:
  explicit Forward(const Request&) {}

  // Replaces every header of that name: exactly one is sent.
  Forward& SetHeader(std::string name, std::string value);
  Forward& RemoveHeader(std::string name);
  Forward& SetMethod(std::string method);
  Forward& SetPath(std::string path_and_query);      // Begins with "/".
  Forward& SetAuthority(std::string host_and_port);  // "api.example.com" or "api.example.com:8443".
  // Sends a plain request over TLS. There is no way back from https to http.
  Forward& UpgradeToHttps();
  // The origin gets Context::request_id as `sallyport-request-id`.
  Forward& SendRequestId();

  // The body goes by way of `transform`, which runs on the handler's thread after it has returned.
  // `length`: of what it writes in all, if that is known. A body that was read in part is
  // transformed from there.
  Forward& TransformRequest(BodyTransform transform, std::optional<uint64_t> length = std::nullopt);
  // The origin gets this body.
  Forward& SetBody(std::string body);
  // Called with what the origin answers, before the container sees it, on the handler's thread. The
  // handler has returned by then, and its request and context are gone: it keeps what it needs.
  Forward& InspectResponse(std::function<ResponseAnswer(const OriginResponse&)> inspect);

  // Not together with a transform, a body or an inspection.
  Forward& SetLease(Lease lease);
  // Ends every lease that this handler gave for this container; this answer's own begins after it.
  Forward& RevokeLeases();

 private:
  friend class AnswerWriter;
  friend class Mediation;

  std::string method_;
  std::string authority_;
  std::string path_;
  bool https_ = false;
  std::vector<Header> set_headers_;
  std::vector<std::string> remove_headers_;
  bool send_request_id_ = false;
  BodyTransform transform_;
  std::optional<uint64_t> length_;
  std::optional<std::string> body_;
  std::function<ResponseAnswer(const OriginResponse&)> inspect_;
  std::optional<Lease> lease_;
  bool revoke_leases_ = false;
};

using Answer = std::variant<Forward, Respond, absl::Status>;
using HandlerFunction = std::function<Answer(const Request&, const Context&)>;
// By the names that rules use.
using Handlers = std::map<std::string, HandlerFunction>;

// Registers the endpoint for as long as it is served. The handlers are registered already, as by
// `sallyport handler register NAME --live`.
struct Live {
  std::string control_plane =
      "";                    // "cp.internal:7443", or "unix:/run/sallyport/controlplane.sock".
  std::string tls_dir = "";  // With ca.crt, tls.crt and tls.key of a handler.
  // Empty: all that are served.
  std::vector<std::string> names = {};
  // The endpoint as hosts see it: "grpc://10.0.0.7:7070". Empty: what is listened on.
  std::string advertise = "";
  // How long the endpoint stays when this program is gone without a word. At most ten minutes.
  std::chrono::milliseconds grace_period{10'000};
};

struct ServeOptions {
  // "127.0.0.1:7070", "[::1]:7070", or "unix:/run/handler.sock". Port 0: one that is free. gRPC
  // without TLS: loopback, or a network that you trust.
  std::string listen;
  // Handlers that run at the same time; more requests wait. 0: handlers run on gRPC's own threads,
  // which saves a hop between threads, but they must not block, and cannot read or stream bodies.
  int max_threads = 64;
  // Called once requests can come, with the address: `listen` with the true port.
  std::function<void(const std::string& address)> on_listening = nullptr;
  // Whether and as what it registers itself. Then on_listening is called once it has.
  std::optional<Live> live = std::nullopt;
  // What a handler threw. Default: a line on stderr.
  std::function<void(const std::string& handler, const std::string& what)> on_exception = nullptr;
};

// Serves until SIGTERM or SIGINT, then lets the calls under way end for at most 5 seconds; for 10,
// if it is live, after it has drained. Returns the program's exit code: 0, or 1 if it cannot listen
// or the control plane refuses it (with a sentence on stderr). Call it from main, before other
// threads start.
int Serve(ServeOptions options, Handlers handlers);

// The same, without waiting: for tests, and for programs that do more. Thread-safe.
class Server {
 public:
  // INVALID_ARGUMENT or UNAVAILABLE: cannot listen. Else why the control plane refuses what is to
  // be live. One that is not there now is no error: it is tried again and again.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServeOptions options, Handlers handlers);
  // Stops at once.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& address() const;
  int port() const;  // 0 for a Unix socket.
  // What it says of itself when it is asked (grpc.health.v1). Default: true, until it drains.
  void SetServing(bool serving);
  // Before an end in order: it says of its health that it does not serve, and what is live drains.
  // Returns when no host sends new calls any more, or cannot be told. Those that run go on.
  void Drain();
  // No new calls; those under way may take `grace` to end, and are then cancelled. Returns when
  // every handler has returned.
  void Stop(std::chrono::milliseconds grace = std::chrono::milliseconds(0));

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  static absl::Status GoLive(const Live& live, State* state);

  std::unique_ptr<State> state_;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_SALLYPORT_HANDLER_H_
