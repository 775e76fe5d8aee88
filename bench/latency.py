"""What the proxy and a handler add to a request: keep-alive HTTP, 1 KiB, one connection, then 64.

Four ways to the same nginx, in turn in one run, so that the ratios hold whatever else the machine does:

  direct   wrk in the host's namespace
  proxy    wrk in a container, plain egress
  handler  the same, with a C++ handler on loopback that adds a header and forwards
  lease    the same, where the handler has leased that for everything

Prints medians (minimum to maximum) over the rounds; what each way adds to the median of plain egress; and the requests that one core
of the proxy serves, by its CPU time, against plain egress. Usage: bench/run.sh latency [--rounds N] [--seconds N]
"""

import argparse
import statistics
import subprocess

import measure
from measure import harness
from harness import World, binary

ADDRESS = "203.0.113.10"
PORT = 8000


def measured(world, command, options, connections):
    """As wrk, and requests per second of one core of the proxy; 0: it has no part in it."""
    before = measure.cpu_seconds(world.proxy_pid())
    p50, p99, rate = measure.wrk(command, f"http://{ADDRESS}:{PORT}/", options.seconds, connections)
    busy = measure.cpu_seconds(world.proxy_pid()) - before
    return p50, p99, rate, rate * options.seconds / busy if busy > 0.05 * options.seconds else 0


def table(title, samples):
    print(f"\n{title} ({measure.machine()})\n{'':9}{'p50 µs':>22}{'p99 µs':>22}{'requests/s':>26}{'a proxy core':>26}"
          f"{'+p50 µs':>9}{'+p99 µs':>9}{'core ratio':>11}")
    medians = {way: [statistics.median(column) for column in zip(*rows)] for way, rows in samples.items()}
    egress = medians["proxy"]
    for way, rows in samples.items():
        cells = [f"{median:.0f} ({min(column):.0f}–{max(column):.0f})".rjust(width)
                 for median, column, width in zip(medians[way], zip(*rows), (22, 22, 26, 26))]
        added = [medians[way][column] - egress[column] for column in (0, 1)]
        print(f"{way:9}{''.join(cells)}{added[0]:>9.0f}{added[1]:>9.0f}{medians[way][3] / egress[3]:>11.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    harness.BINARIES["handler"] = "bench/handler/handler"
    # So many calls a second are what is measured here.
    with World({"bench.test": ADDRESS}, agent_flags=["--limit", "handler_calls_per_second=1000000"]) as world:
        config = f"{world.dir}/nginx.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(measure.NGINX.format(dir=world.dir, address=ADDRESS, port=PORT, body="x" * 1024))
        world.start("nginx", ["nginx", "-c", config], world.internet)
        handler = world.start("handler", [binary("handler"), "--listen", "127.0.0.1:0"], world.host)
        address = handler.await_text(r"listening on (\S+)").group(1)
        ways = {"direct": world.host.command()}
        for way, name in (("proxy", ""), ("handler", "forward"), ("lease", "lease")):
            if name:
                world.cli("handler", "register", name, f"grpc://{address}")
            world.cli("class", "apply", way, f"--http-port={PORT}", *([f"--outbound={name}"] if name else []))
            ways[way] = world.container(way, f"b-{way}").command()
        harness.eventually(lambda: world.host and subprocess.run(
            [*ways["direct"], "curl", "-so", "/dev/null", f"http://{ADDRESS}:{PORT}/"], check=False).returncode == 0)
        for connections in (1, 64):
            samples = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way, command in ways.items():
                    samples[way].append(measured(world, command, options, connections))
            table(f"{connections} connection{'s' if connections > 1 else ''}", samples)


if __name__ == "__main__":
    main()
