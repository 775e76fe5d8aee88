// A handler that is a whole service: a key-value store, of its own for each container, behind a
// host that exists nowhere.
//
//   kv --listen 127.0.0.1:7071
//   sallyport handler register kv --endpoint grpc://127.0.0.1:7071
//   sallyport set-outbound-by-host CONTAINER my.kv kv
//
// In the container: curl -X PUT -d hello http://my.kv/greeting ; curl http://my.kv/greeting ; curl
// -X DELETE http://my.kv/greeting

#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "examples/flags.h"
#include "sallyport/handler.h"

using sallyport::Answer, sallyport::Context, sallyport::Request, sallyport::Respond;

namespace {

constexpr size_t kMaxValueBytes = 1024 * 1024;
constexpr size_t kMaxKeys = 1000;  // Of one container.

// Thread-safe: handlers run on many threads.
class Store {
 public:
  Answer Handle(const Request& request, const Context& context) {
    if (request.method() == "GET") return Get(context.container_id, request.path());
    if (request.method() == "DELETE") return Delete(context.container_id, request.path());
    if (request.method() != "PUT")
      return Respond(405, "GET, PUT or DELETE\n").SetHeader("allow", "GET, PUT, DELETE");
    absl::StatusOr<std::string> body = request.ReadBody(kMaxValueBytes);
    if (absl::IsResourceExhausted(body.status())) return Respond(413, "at most 1 MiB\n");
    if (!body.ok()) return body.status();
    return Put(context.container_id, request.path(), *std::move(body));
  }

 private:
  using Values = std::map<std::string, std::string>;

  Respond Get(const std::string& container, const std::string& key) {
    const std::lock_guard lock(mutex_);
    const Values& values = containers_[container];
    const auto found = values.find(key);
    if (found == values.end()) return Respond(404, "no such key\n");
    return Respond(200, found->second, {{"content-type", "application/octet-stream"}});
  }
  Respond Put(const std::string& container, const std::string& key, std::string value) {
    const std::lock_guard lock(mutex_);
    Values& values = containers_[container];
    if (values.size() >= kMaxKeys && !values.contains(key)) return Respond(507, "too many keys\n");
    values[key] = std::move(value);
    return Respond(204);
  }
  Respond Delete(const std::string& container, const std::string& key) {
    const std::lock_guard lock(mutex_);
    return containers_[container].erase(key) > 0 ? Respond(204) : Respond(404, "no such key\n");
  }

  std::mutex mutex_;
  std::map<std::string, Values> containers_;  // By id.
};

}  // namespace

int main(int argc, char** argv) {
  examples::Flags flags = {{"--listen", "127.0.0.1:7071"}, {"--handler", "kv"}};
  if (!examples::ParseFlags(argc, argv, &flags)) {
    return std::fputs("usage: kv [--listen ADDRESS] [--handler NAME]\n", stderr), 2;
  }
  Store store;
  return sallyport::Serve(
      {.listen = flags["--listen"], .on_listening = examples::PrintAddress},
      {{flags["--handler"], [&store](const Request& request, const Context& context) {
          return store.Handle(request, context);
        }}});
}
