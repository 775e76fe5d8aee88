"""What the proxy and a handler add to a request: keep-alive HTTP, 1 KiB, one connection, then 64.

Three ways to the same nginx, in turn in one run, so that the ratios hold whatever else the machine does:

  direct   wrk in the host's namespace
  proxy    wrk in a container, plain egress
  handler  the same, with a C++ handler that adds a header and forwards

Prints medians (minimum to maximum) over the rounds, and ratios of medians. Usage: bench/run.sh latency [--rounds N] [--seconds N]
"""

import argparse
import re
import statistics
import subprocess

import measure
from measure import harness
from harness import World, binary

ADDRESS = "203.0.113.10"
PORT = 8000
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


def wrk(command, seconds, connections):
    """p50 and p99 in microseconds, and requests a second, of one wrk run."""
    result = subprocess.run([*command, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
                             f"http://{ADDRESS}:{PORT}/"], capture_output=True, text=True, timeout=seconds + 30, check=True)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", result.stdout)
    if errors:
        raise RuntimeError(f"not measured, requests failed: {errors.group(0)}")
    percentile = {}
    for name, number, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)", result.stdout, re.M):
        percentile[name] = float(number) * UNITS[unit]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", result.stdout).group(1))
    return percentile["50"], percentile["99"], rate


def table(title, samples):
    print(f"\n{title}\n{'':9}{'p50 µs':>22}{'p99 µs':>22}{'requests/s':>26}{'p50 ratio':>11}{'rate ratio':>11}")
    direct = [statistics.median(column) for column in zip(*samples["direct"])]
    for way, rows in samples.items():
        cells = []
        medians = []
        for column, width in zip(zip(*rows), (22, 22, 26)):
            medians.append(statistics.median(column))
            cells.append(f"{medians[-1]:.0f} ({min(column):.0f}–{max(column):.0f})".rjust(width))
        print(f"{way:9}{''.join(cells)}{medians[0] / direct[0]:11.2f}{medians[2] / direct[2]:11.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    harness.BINARIES["bearer_token"] = "examples/bearer_token/bearer_token"
    # So many calls a second are what is measured here.
    with World({"bench.test": ADDRESS}, agent_flags=["--limit", "handler_calls_per_second=1000000"]) as world:
        config = f"{world.dir}/nginx.conf"
        with open(config, "w", encoding="ascii") as file:
            file.write(measure.NGINX.format(dir=world.dir, address=ADDRESS, port=PORT, body="x" * 1024))
        world.start("nginx", ["nginx", "-c", config], world.internet)
        token = f"{world.dir}/token"
        with open(token, "w", encoding="ascii") as file:
            file.write("bench-token\n")
        handler = world.start("handler", [binary("bearer_token"), "--listen", "127.0.0.1:0", "--token-file", token,
                                          "--handler", "bearer"], world.host)
        address = handler.await_text(r"listening on (\S+)").group(1)
        world.cli("handler", "register", "bearer", f"grpc://{address}")
        world.cli("class", "apply", "plain", f"--http-port={PORT}")
        world.cli("class", "apply", "handled", f"--http-port={PORT}", "--outbound=bearer")
        ways = {"direct": world.host.command(), "proxy": world.container("plain", "b-plain").command(),
                "handler": world.container("handled", "b-handled").command()}
        harness.eventually(lambda: world.host and subprocess.run(
            [*ways["direct"], "curl", "-so", "/dev/null", f"http://{ADDRESS}:{PORT}/"], check=False).returncode == 0)
        for connections in (1, 64):
            samples = {way: [] for way in ways}
            for _ in range(options.rounds):
                for way, command in ways.items():
                    samples[way].append(wrk(command, options.seconds, connections))
            table(f"{connections} connection{'s' if connections > 1 else ''}", samples)


if __name__ == "__main__":
    main()
