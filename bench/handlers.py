"""What it costs to have each request decided: our ways, nginx's auth_request and a bare Node server side by side in one run.

All ways have the same client, which asks for 1 KiB over kept connections, and are measured in turn, so that ratios hold on a busy machine:

  direct           no proxy: the origin, an nginx
  egress           plain egress through the proxy
  built-in         the proxy itself sets a header
  lease            a handler has leased its forward, which sets the header
  C++ handler      asked each time on a Unix socket, sets the header and forwards
  nginx handler    the same by a web server that answers 299 on a Unix socket
  Node forwards    the same by the Node SDK
  nginx            proxy_pass to the origin, over kept connections
  auth_request     the same, with a subrequest to that web server on a Unix socket, and a header set from its answer
  Node alone       a bare Node server answers, without a proxy
  Node web         the same server as a handler on a Unix socket
  Node SDK         a handler of the Node SDK answers the same

The proxy that is measured (one worker) has one core to itself; client, origin, handlers and bare servers share another, always the same.
First a steady 1,000 requests a second on one connection, for latency; then as much as 64 connections can, for requests per CPU-second: of the
proxy, of the handler, of both. Medians over the rounds. What is added to the latency, and the ratios, are taken within a round, against the way
in the column `base` (for a handler's CPU: against Node alone), and have minimum and maximum. `others` is how many cores everybody else on the
machine took. Our proxy writes an audit record of each request, nginx no log. Usage: bench/run.sh handlers [--rounds N] [--seconds N] [--way WAY …]
"""

import argparse
import collections
import json
import os
import statistics
import subprocess

import measure
from measure import harness
from harness import World, binary
from node_sdk import NodePrograms

ADDRESS, PORT = "203.0.113.10", 8000
PEER_PORT = 8001
PROXY_CORE, LOAD_CORE = 0, 1
HEADER = "Bearer of-the-benchmark"
BODY = "x" * 1024
NGINX = """
daemon off; worker_processes 1; pid {dir}/{name}.pid; error_log {dir}/{name}-error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/{name}1; proxy_temp_path {dir}/{name}2;
  fastcgi_temp_path {dir}/{name}3; uwsgi_temp_path {dir}/{name}4; scgi_temp_path {dir}/{name}5; default_type text/plain;
  {servers} }}
"""
ORIGIN = """server {{ listen {address}:{port}; location / {{ return 200 "{body}"; }}
    location = /check {{ return 200 "$http_authorization"; }} }}"""
# What decides, for nginx and for us.
DECIDER = """
  server {{ listen unix:{dir}/auth.sock; location / {{ add_header x-authorization "{header}"; return 204; }} }}
  server {{ listen unix:{dir}/forward.sock; location / {{
    add_header sallyport-forward 1 always; add_header sallyport-set-header "authorization: {header}" always; return 299; }} }}"""
PEER = """
  upstream origin {{ server {address}:{port}; keepalive 128; keepalive_requests 1000000000; }}
  upstream auth {{ server unix:{dir}/auth.sock; keepalive 128; keepalive_requests 1000000000; }}
  proxy_http_version 1.1; proxy_set_header connection "";
  server {{ listen 127.0.0.1:{peer}; location / {{ proxy_pass http://origin; }} }}
  server {{ listen 127.0.0.2:{peer};
    location = /auth {{ internal; proxy_pass http://auth; proxy_pass_request_body off; proxy_set_header content-length ""; proxy_set_header connection ""; }}
    location / {{ auth_request /auth; auth_request_set $authorization $upstream_http_x_authorization;
      proxy_set_header authorization $authorization; proxy_set_header connection ""; proxy_pass http://origin; }} }}"""

# client: its command up to the program. proxy, handler: pids, or None. sets: whether the origin gets the header.
Way = collections.namedtuple("Way", "client address port proxy handler base sets answers", defaults=(None, None, "", False, False))
Sample = collections.namedtuple("Sample", "steady p50 p99 rate per_proxy per_handler per_both others")


class Bench:
    def __init__(self, world):
        self.world = world
        self.ways = {}

    def nginx(self, name, servers, namespace, core=LOAD_CORE):
        config = f"{self.world.dir}/{name}.conf"
        with open(config, "w", encoding="ascii") as file:
            text = servers.format(dir=self.world.dir, address=ADDRESS, port=PORT, peer=PEER_PORT, body=BODY, header=HEADER)
            file.write(NGINX.format(dir=self.world.dir, name=name, servers=text))
        return self.world.start(name, ["taskset", "-c", str(core), "nginx", "-e", f"{self.world.dir}/{name}-error.log", "-c", config], namespace)

    def register(self, name, *arguments):
        self.world.cli("handler", "register", name, *arguments)

    def ours(self, name, registered="", **fields):
        """A way through our proxy, and by the handler of that name."""
        class_name = name.lower().replace(" ", "-").replace("+", "p")
        self.world.cli("class", "apply", class_name, f"--http-port={PORT}", *([f"--outbound={registered}"] if registered else []))
        container = self.world.container(class_name, f"b-{class_name}")
        self.ways[name] = Way(container.command(), ADDRESS, PORT, proxy=self.world.proxy_pid(), **fields)

    def start(self):
        world, host = self.world, self.world.host.command()
        self.nginx("origin-nginx", ORIGIN, world.internet)
        decider = self.nginx("decider", DECIDER, world.host)
        peer = self.nginx("peer", PEER, world.host, PROXY_CORE)
        cpp = world.start("cpp", [binary("handler"), "--listen", f"unix:{world.dir}/cpp.sock"], world.host)
        cpp.await_text("listening on")
        programs = NodePrograms(world)
        alone = programs.start("bench/node/alone.mjs", "0", f"{world.dir}/node.sock")
        sdk = programs.start("bench/node/handlers.mjs", f"unix:{world.dir}/sdk.sock")

        self.register("built-in", "--builtin", json.dumps({"set_headers": {"authorization": HEADER}}))
        for name, socket in (("forward", "cpp"), ("lease", "cpp"), ("node-forward", "sdk"), ("node-answer", "sdk")):
            self.register(name, f"unix:{world.dir}/{socket}.sock")
        self.register("nginx", f"http+unix:{world.dir}/forward.sock")
        self.register("node-web", f"http+unix:{world.dir}/node.sock")

        self.ways["direct"] = Way(host, ADDRESS, PORT)
        self.ours("egress", base="direct")
        self.ours("built-in", "built-in", base="egress", sets=True)
        self.ours("lease", "lease", base="egress", sets=True)
        self.ours("C++ handler", "forward", handler=cpp.pid, base="egress", sets=True)
        self.ours("nginx handler", "nginx", handler=decider.pid, base="egress", sets=True)
        self.ours("Node forwards", "node-forward", handler=sdk.pid, base="egress", sets=True)
        self.ways["nginx"] = Way(host, "127.0.0.1", PEER_PORT, peer.pid, base="direct")
        self.ways["auth_request"] = Way(host, "127.0.0.2", PEER_PORT, peer.pid, decider.pid, base="nginx", sets=True)
        self.ways["Node alone"] = Way(host, "127.0.0.1", int(alone.address.rsplit(":", 1)[1]), handler=alone.pid, answers=True)
        self.ours("Node web", "node-web", handler=alone.pid, base="Node alone", answers=True)
        self.ours("Node SDK", "node-answer", handler=sdk.pid, base="Node alone", answers=True)
        for task in os.listdir(f"/proc/{world.proxy_pid()}/task"):
            os.sched_setaffinity(int(task), {PROXY_CORE})

    def check(self, name):
        """That the way does what its row says."""
        way = self.ways[name]

        def get(path):
            return subprocess.run([*way.client, "curl", "-sS", "--noproxy", "*", "--max-time", "10", f"http://{way.address}:{way.port}{path}"],
                                  capture_output=True, text=True, check=False)

        harness.eventually(lambda: get("/").stdout == BODY, what=f"{name} gives the body")
        seen = get("/check").stdout
        expected = BODY if way.answers else HEADER if way.sets else ""
        if seen != expected:
            raise RuntimeError(f"not measured, {name} does something else: {seen[:100]!r}")

    def warm_up(self, name, seconds):
        """Fills the pools, and has Node compile what runs often."""
        way = self.ways[name]
        measure.wrk(way.client, f"http://{way.address}:{way.port}/", 2 * seconds if name.startswith("Node") else 1, 64)

    def measured(self, name, seconds):
        way = self.ways[name]
        steady = subprocess.run([*way.client, os.path.join(os.environ["SALLYPORT_BIN"], "bench/load/steady_client"), way.address, str(way.port),
                                 f"{way.address}:{way.port}", "1000"], input=f"1\n{seconds}\n", capture_output=True, text=True, check=True)
        latency = json.loads(steady.stdout.splitlines()[1])
        pids = [pid for pid in (way.proxy, way.handler) if pid]
        before, busy, own = [measure.family_cpu_seconds(pid) for pid in pids], measure.busy_seconds(), measure.family_cpu_seconds(os.getpid())
        rate = measure.wrk(way.client, f"http://{way.address}:{way.port}/", seconds, 64)[2]
        used = dict(zip(pids, (measure.family_cpu_seconds(pid) - start for pid, start in zip(pids, before))))
        others = (measure.busy_seconds() - busy) - (measure.family_cpu_seconds(os.getpid()) - own)
        count = rate * seconds
        per = [count / used[pid] if pid else 0 for pid in (way.proxy, way.handler)]
        return Sample(latency["count"] / seconds, latency["p50"] * 1e3, latency["p99"] * 1e3, rate, *per, count / sum(used.values()) if used else 0, others / seconds)


def median(values, digits=0):
    return f"{statistics.median(values):,.{digits}f}" if any(values) else "–"


def compared(samples, way, base, field, how):
    """Round by round: median (minimum–maximum); "–" where one of the two has nothing to compare."""
    pairs = [(getattr(mine, field), getattr(other, field)) for mine, other in zip(samples[way], samples.get(base, []))]
    if not pairs or not all(mine and other for mine, other in pairs):
        return "–"
    values = [mine - other if how == "added" else mine / other for mine, other in pairs]
    form = "+,.0f" if how == "added" else ",.2f"
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def row_of(samples, ways, name):
    way, by = ways[name], Sample(*zip(*samples[name]))
    return [name, way.base or "–", median(by.p50), median(by.p99), compared(samples, name, way.base, "p50", "added"),
            compared(samples, name, way.base, "p99", "added"), median(by.rate), median(by.per_proxy),
            compared(samples, name, way.base, "per_proxy", "ratio"), median(by.per_handler),
            compared(samples, name, "Node alone", "per_handler", "ratio") if name.startswith("Node") and way.base else "–",
            median(by.per_both), median(by.others, 2)]


def table(samples, ways, options):
    print(f"\n{options.rounds} rounds of {options.seconds} s; left, 1,000 requests a second on one connection; from `requests/s` on, "
          f"64 connections ({measure.machine()})")
    rows = [["", "base", "p50 µs", "p99 µs", "p50 added", "p99 added", "requests/s", "a proxy CPU-s", "ratio", "a handler CPU-s", "ratio", "of both", "others"],
            *(row_of(samples, ways, name) for name in samples)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print("  ".join(cell.ljust(width) if index < 2 else cell.rjust(width) for index, (cell, width) in enumerate(zip(row, widths))), flush=True)
    for name, rows in samples.items():
        steady = statistics.median(row.steady for row in rows)
        if steady < 950:
            print(f"{name} was asked {steady:.0f} times a second, not 1,000: the machine or the way is too slow for its latency to say much")
    for ours, peer, field, what in (("egress", "nginx", "per_proxy", "a proxy CPU-second"),
                                    ("C++ handler", "auth_request", "per_proxy", "a proxy CPU-second"),
                                    ("C++ handler", "auth_request", "per_both", "a CPU-second of proxy and decider"),
                                    ("nginx handler", "auth_request", "per_both", "a CPU-second of proxy and decider"),
                                    ("built-in", "auth_request", "per_both", "a CPU-second of proxy and decider")):
        if ours in samples and peer in samples:
            print(f"{ours} against {peer}, requests {what}: {compared(samples, ours, peer, field, 'ratio')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--way", action="append", help="measure these alone; default: all")
    options = parser.parse_args()
    if os.cpu_count() < 2:
        parser.error("this needs two cores: one for the proxy, one for all else")
    harness.BINARIES["handler"] = "bench/handler/handler"
    os.sched_setaffinity(0, {LOAD_CORE})
    # So many calls a second are what is measured here.
    with World({"bench.test": ADDRESS}, workers=1, agent_flags=["--limit", "handler_calls_per_second=1000000"]) as world:
        bench = Bench(world)
        bench.start()
        names = options.way or list(bench.ways)
        for name in names:
            bench.check(name)
            bench.warm_up(name, options.seconds)
        samples = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                samples[name].append(bench.measured(name, options.seconds))
        table(samples, bench.ways, options)


if __name__ == "__main__":
    main()
