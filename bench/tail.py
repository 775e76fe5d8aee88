"""How long the slow ones wait: keep-alive HTTP at 70 % of what the proxy can do, while its host is not left alone.

The proxy has a core to itself; clients, origin, agent and control plane have the others. First wrk says how many requests a second
the proxy can do, over 64 connections. Then h2load asks at a share of that rate: for a minute with nothing else, and for --minutes with
a change of that container's policy every 100 ms, each enforced before the next, and a container attached every second. Prints p50, p99
and their ratio for each minute and for all (target: p99 at most 3 times p50).

Usage: bench/run.sh tail [--minutes N] [--share 0.7]
"""

import argparse
import collections
import contextlib
import os
import subprocess
import threading
import time

import measure
from enforced_round_trip import ADDRESS, PORT, start_origin
from measure import harness
from netns import UnnamedNamespace

CONNECTIONS = 64
URL = f"http://{ADDRESS}:{PORT}/"
CHANGE_SECONDS = 0.1
ATTACH_SECONDS = 1
TARGET = 3


class Latencies:
    """Microseconds, each with how often it came."""

    def __init__(self):
        self.counts = collections.Counter()

    def read(self, path):
        """As h2load logs: start, status, duration of each request, by tabs."""
        with open(path, encoding="ascii") as file:
            for line in file:
                _, status, duration = line.split("\t")
                if status != "200":
                    raise RuntimeError(f"not measured, a request failed: {line!r}")
                self.counts[int(duration)] += 1

    def at(self, share):
        left = share * self.counts.total()
        for duration in sorted(self.counts):
            left -= self.counts[duration]
            if left <= 0:
                return duration
        raise RuntimeError("not measured: no requests")

    def row(self, name):
        p50, p99 = self.at(0.5), self.at(0.99)
        return f"{name:24}{self.counts.total():>12,}{p50:>10,}{p99:>10,}{self.at(0.999):>10,}{max(self.counts):>10,}{p99 / p50:>10.2f}"


def ask(world, container, rate, seconds):
    log = f"{world.dir}/h2load.log"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(log)
    subprocess.run(container.command("h2load", "--h1", "-t1", f"-c{CONNECTIONS}", f"--rps={rate / CONNECTIONS:.3f}", f"-D{seconds}",
                                     f"--log-file={log}", URL), capture_output=True, check=True, timeout=seconds + 60)
    latencies = Latencies()
    latencies.read(log)
    return latencies


class Churn:
    """A host that is not left alone: each kind of work in a thread, at its own pace."""

    def __init__(self, world):
        self.world = world
        self.stop = threading.Event()
        self.done = collections.Counter()
        self.failure = None
        self.namespace = UnnamedNamespace()
        self.threads = [threading.Thread(target=self.run, args=work) for work in ((self.change, CHANGE_SECONDS), (self.attach, ATTACH_SECONDS))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.namespace.close()
        if self.failure is not None:
            raise self.failure

    def run(self, work, pause):
        due = time.monotonic()
        try:
            while not self.stop.wait(max(0, due - time.monotonic())):
                work()
                self.done[work.__name__] += 1
                due = max(due + pause, time.monotonic())
        except Exception as error:  # Whatever it is, nothing was measured.
            self.failure = error

    def change(self):
        method = ("AllowHost", "RemoveAllowedHost")[self.done["change"] % 2]
        self.world.api.enforced(method, containerId="b-1", host="late.test")

    def attach(self):
        self.world.agent_api.call("Attach", netnsPath=self.namespace.path, containerId="b-2", className="plain", wait="10s")
        self.world.agent_api.call("Detach", containerId="b-2")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.7)
    options = parser.parse_args()
    if not measure.leave_core_to_proxy():
        parser.error("two cores are needed: one is the proxy's alone")
    with harness.World({"bench.test": ADDRESS}, agent_flags=["--workers", "1"]) as world:
        start_origin(world)
        world.cli("class", "apply", "plain", f"--http-port={PORT}", "--allowed-host=*")
        container = world.container("plain", "b-1")
        harness.eventually(lambda: container.run("curl", "-so", "/dev/null", URL).returncode == 0)
        measure.give_core_to_proxy(world.proxy_pid())
        most = max(measure.wrk(container.command(), URL, 3, CONNECTIONS)[2] for _ in range(3))
        rate = options.share * most
        print(f"\n{rate:,.0f} requests a second, {options.share:.0%} of {most:,.0f} ({measure.machine()})")
        print(f"{'':24}{'requests':>12}{'p50 µs':>10}{'p99 µs':>10}{'p99.9 µs':>10}{'max µs':>10}{'p99/p50':>10}")
        print(ask(world, container, rate, 60).row("nothing else"), flush=True)
        total = Latencies()
        with Churn(world) as churn:
            for minute in range(options.minutes):
                latencies = ask(world, container, rate, 60)
                total.counts.update(latencies.counts)
                print(latencies.row(f"with changes, minute {minute + 1}"), flush=True)
        print(total.row("with changes, all"))
        print(f"target: p99 at most {TARGET} times p50; meanwhile {churn.done['change']:,} changes of its policy were enforced, "
              f"and {churn.done['attach']:,} containers attached and detached")


if __name__ == "__main__":
    main()
