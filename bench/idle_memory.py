"""What an idle connection costs in the proxy's memory.

Opens many connections from one container to an nginx, one request each, and holds them:

  plaintext  HTTP, kept alive
  decrypted  HTTPS with the proxy's leaf, kept alive
  relay      TCP to a port that is not sniffed

Prints what the proxy's memory grew by, per connection, and what of that is left once they are closed and memory has stopped
falling. Fewer than --connections where the proxy has no descriptors for so many (`ulimit -Hn`).
Usage: bench/run.sh idle_memory [--connections N] [--kind KIND]
"""

import argparse
import os
import re
import subprocess
import sys
import time

import measure
from measure import harness
from harness import World

ADDRESS = "203.0.113.10"
RELAYED_PORT = 9000
# Target and later goal, KiB each.
KINDS = {"plaintext": (80, None, 4, 2), "decrypted": (443, "bench.test", 20, 14), "relay": (RELAYED_PORT, None, None, None)}
WARM_UP = 64
NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 40000; pid {dir}/nginx.pid; error_log {dir}/nginx-error.log;
events {{ worker_connections 32768; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; client_body_temp_path {dir}/t1;
  proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen {address}:80; listen {address}:{relayed}; listen {address}:443 ssl; ssl_certificate {dir}/origin.crt;
    ssl_certificate_key {dir}/origin.key; location / {{ default_type text/plain; return 200 "Hello!"; }} }} }}
"""
# One container is not meant to have as many, nor for as long as it takes to open them all.
LIMITS = [part for limit in ("connections=100000", "origin_connections=100000", "memory_bytes=17179869184", "idle_timeout_ms=3600000")
          for part in ("--limit", limit)]
SETTLE_SECONDS = 3
# Of the proxy, for all but connections.
SPARE_DESCRIPTORS = 100


class Clients:
    """Connections held in a container."""

    def __init__(self, container, port, count, name):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "idle_clients.py")
        # Only the container's own CA: a leaf of the origin's would mean that nothing was decrypted.
        command = [sys.executable, script, ADDRESS, str(port), str(count), *([name, container.ca] if name else [])]
        self.process = subprocess.Popen(container.command(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "held\n":
            raise RuntimeError("not measured, the connections could not be opened")

    def count_open(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def memory_kib(pid):
    """Resident and proportional memory, once the first has stopped changing; others' programs change the second."""
    def read():
        rollup = harness.read_text(f"/proc/{pid}/smaps_rollup")
        return tuple(int(re.search(rf"^{name}:\s+(\d+)", rollup, re.M).group(1)) for name in ("Rss", "Pss"))
    last = read()
    while True:
        time.sleep(SETTLE_SECONDS)
        now = read()
        if now[0] == last[0]:
            return now
        last = now


def most_connections(pid, kind):
    """For which the proxy has descriptors: three fifths of its limit are for containers, and a relay takes two."""
    limit = int(re.search(r"^Max open files\s+(\d+)", harness.read_text(f"/proc/{pid}/limits"), re.M).group(1))
    usable = limit - limit // 16 - SPARE_DESCRIPTORS
    return usable // 2 if kind == "relay" else usable * 3 // 5


def measure_kind(kind, count, workers):
    port, name, target, goal = KINDS[kind]
    with World({"bench.test": ADDRESS}, ports=[5432], workers=workers, agent_flags=LIMITS) as world:
        config = f"{world.dir}/nginx.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=world.dir, address=ADDRESS, relayed=RELAYED_PORT))
        world.start("nginx", ["nginx", "-c", config], world.internet)
        harness.eventually(lambda: world.host_run("curl", "-so", "/dev/null", f"http://{ADDRESS}/").returncode == 0)
        # With a list there is something to decide inside TLS.
        world.apply_class("bench", enable_internet=True, intercept_https=True, denied_hosts=["nowhere.test"])
        container = world.container("bench")
        pid = world.proxy_pid()
        count = min(count, most_connections(pid, kind))
        Clients(container, port, WARM_UP, name).close()
        before = memory_kib(pid)
        clients = Clients(container, port, count, name)
        held = memory_kib(pid)
        still_open = clients.count_open()
        clients.close()
        after = memory_kib(pid)
        if still_open != count:
            raise RuntimeError(f"not measured, only {still_open} of {count} connections were still open")
    each = [(with_them - without) / count for with_them, without in zip(held, before)]
    left = (after[0] - before[0]) / count
    wanted = "" if target is None else f"≤ {target} ({goal})"
    print(f"{kind:11}{count:>12}{before[0] / 1024:>12.1f}{held[0] / 1024:>12.1f}{each[0]:>14.2f}{each[1]:>14.2f}{left:>12.2f}"
          f"{wanted:>14}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(f"the proxy's memory, {options.workers} workers ({measure.machine()})\n{'':11}{'connections':>12}{'before MiB':>12}"
          f"{'held MiB':>12}{'RSS KiB each':>14}{'PSS KiB each':>14}{'left':>12}{'target (goal)':>14}", flush=True)
    for kind in options.kind or KINDS:
        measure_kind(kind, options.connections, options.workers)


if __name__ == "__main__":
    main()
