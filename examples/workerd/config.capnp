# workerd serve config.capnp --socket-addr http=127.0.0.1:8080

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "handler", worker = .handler)],
  # `proxy`: requests have their whole URL, which is that of the container.
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (style = proxy), service = "handler")],
);

const handler :Workerd.Worker = (
  modules = [
    (name = "server.js", esModule = embed "server.js"),
    (name = "forward.js", esModule = embed "forward.js"),
    (name = "handler.js", esModule = embed "handler.js"),
  ],
  compatibilityDate = "2026-11-01",
  bindings = [(name = "TOKENS", json = embed "tokens.json")],
);
