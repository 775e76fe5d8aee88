"""How long it takes until a change of policy is enforced, on one host with the real programs.

A client that keeps one connection calls SetOutboundByHost with wait = ENFORCED: durable in the control plane, sent to the
agent, swapped in by the proxy on every worker, durable on the host, answered. Idle, then while 64 connections saturate
the proxy. Prints what an fsync costs on this disk in between, because most of an idle round trip is that.

Usage: bench/run.sh enforced_round_trip [--changes N] [--rounds N]
"""

import argparse
import json
import os
import subprocess

import measure
from measure import harness

ADDRESS = "203.0.113.10"
PORT = 8000


def start_origin(world):
    config = f"{world.dir}/nginx.conf"
    with open(config, "w", encoding="ascii") as file:
        file.write(measure.NGINX.format(dir=world.dir, address=ADDRESS, port=PORT, body="x" * 1024))
    world.start("nginx", ["nginx", "-c", config], world.internet)


def round_trips(world, changes):
    result = harness.run(harness.binary("round_trip"), f"unix:{world.dir}/controlplane.sock", "b-1", "bench", str(changes))
    return json.loads(result.stdout)


def saturated(world, container, changes):
    with subprocess.Popen(container.command("wrk", "-t1", "-c64", "-d30s", f"http://{ADDRESS}:{PORT}/"),
                          stdout=subprocess.PIPE, text=True) as load:
        harness.eventually(lambda: harness.run("pgrep", "-P", str(os.getpid()), "wrk", check=False).stdout, what="wrk runs")
        result = round_trips(world, changes)
        if load.poll() is not None:
            raise RuntimeError("the load ended before the changes did")
        load.terminate()
        load.wait()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    harness.BINARIES["round_trip"] = "bench/round_trip/round_trip"
    with harness.World({"bench.test": ADDRESS}) as world:
        start_origin(world)
        world.cli("handler", "register", "bench", "grpc://127.0.0.1:9")
        world.cli("class", "apply", "plain", f"--http-port={PORT}")
        container = world.container("plain", "b-1")
        harness.eventually(lambda: container.run("curl", "-so", "/dev/null", f"http://{ADDRESS}:{PORT}/").returncode == 0)
        rows = []
        for _ in range(options.rounds):
            rows.append(("fsync alone, appending", measure.fsync(world.dir, 200)))
            result = round_trips(world, options.changes)
            rows += [("idle: until enforced", result["answered"]), ("  of it: durable to enforced", result["waited"])]
            result = saturated(world, container, options.changes)
            rows += [("saturated: until enforced", result["answered"]), ("  of it: durable to enforced", result["waited"])]
        measure.table("enforced round trip of SetOutboundByHost, one host", rows)


if __name__ == "__main__":
    main()
