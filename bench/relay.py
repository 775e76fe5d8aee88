"""How fast TLS that is not decrypted passes, and what it costs: bulk bytes behind a real ClientHello, one connection.

Two ways to the same server, in turn in one run, so that the ratio holds whatever else the machine does:

  direct  from the host's namespace
  relay   from a container, relayed by SNI

Prints medians (minimum to maximum) over the rounds, and the proxy's CPU seconds per GB. Usage: bench/run.sh relay [--rounds N]
[--gigabytes N]
"""

import argparse
import os
import statistics
import subprocess
import sys

import measure
from measure import harness
from harness import World

ADDRESS = "203.0.113.10"
NAME = "bulk.test"
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bulk_peer.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gigabytes", type=int, default=4)
    options = parser.parse_args()
    with World({NAME: ADDRESS}, ports=[5432]) as world:
        server = world.start("bulk", [sys.executable, PEER, "serve", ADDRESS, "443"], world.internet)
        server.await_text("listening")
        world.apply_class("bench", enable_internet=True, tls_passthrough_hosts=[NAME])
        ways = {"direct": world.host.command(), "relay": world.container("bench").command()}
        pid = world.proxy_pid()
        rates = {way: [] for way in ways}
        costs = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, command in ways.items():
                before = measure.cpu_seconds(pid)
                result = subprocess.run([*command, sys.executable, PEER, "fetch", ADDRESS, "443", NAME, str(options.gigabytes)],
                                        capture_output=True, text=True, check=True, timeout=300)
                rates[way].append(options.gigabytes / float(result.stdout))
                costs[way].append((measure.cpu_seconds(pid) - before) / options.gigabytes)
        relayed = [line for line in world.audit.all() if line.get("decision") == "relay"]
    if {line["bytesSent"] for line in relayed} != {options.gigabytes * 10 ** 9}:
        raise RuntimeError(f"not measured, the records say otherwise: {relayed}")
    print(f"{options.gigabytes} GB, {options.rounds} rounds ({measure.machine()})\n{'':9}{'GB/s':>24}{'ratio':>8}{'proxy CPU s/GB':>26}")
    for way in ways:
        cells = [f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
                 for values, digits in ((rates[way], 2), (costs[way], 3))]
        ratio = statistics.median(rates[way]) / statistics.median(rates["direct"])
        print(f"{way:9}{cells[0]:>24}{ratio:>8.2f}{cells[1]:>26}")


if __name__ == "__main__":
    main()
