"""What attaching a container costs: the call alone, and what the OCI hook adds to `podman run`.

Attach is called for containers that are there already, each in a namespace that is new, one after the other and ten at once; each
is detached again. `podman run` of a program that does nothing is timed with the hook and without in turn, so that both meet the
same machine; what is added is the difference of neighbours. Once with no network of the container's, once on a bridge, in routed mode.

Usage: bench/run.sh attach [--attaches N] [--runs N]
"""

import argparse
import json
import subprocess
import time

import measure
from measure import harness
from oci_engine import BridgeEngine

AT_ONCE = 10
harness.BINARIES["attach_calls"] = "bench/attach_calls/attach_calls"


def timed(function, *arguments, **options):
    begin = time.monotonic()
    result = function(*arguments, **options)
    return (time.monotonic() - begin) * 1e3, result


class Holders:
    """Processes in network namespaces of their own, until all is over: the kernel holds others up while it takes a namespace down."""

    def __init__(self):
        self.processes = []

    def add(self, count):
        made = [subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "echo up; read -r end"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE) for _ in range(count)]
        for process in made:
            process.stdout.readline()
        self.processes += made
        return [process.pid for process in made]

    def close(self):
        for process in self.processes:
            process.stdin.close()
            process.wait()
            process.stdout.close()


class AttachCalls:
    """Calls by a program that takes next to no time of its own, on a channel that is there already."""

    def __init__(self, world):
        self.program = subprocess.Popen([harness.binary("attach_calls"), f"unix:{world.dir}/agent.sock"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        world.closers.callback(self.close)

    def close(self):
        self.program.stdin.close()
        self.program.wait()
        self.program.stdout.close()

    def at_once(self, requests):
        """The milliseconds that each took."""
        self.program.stdin.write("".join(json.dumps(request) + "\n" for request in requests) + "\n")
        self.program.stdin.flush()
        samples = [float(milliseconds) for milliseconds in self.program.stdout.readline().split()]
        if len(samples) != len(requests):
            raise RuntimeError("not measured: a container could not be attached")
        return samples


def attach_times(world, calls, holders, at_once, count):
    """Of `count` calls and more, `at_once` at a time."""
    samples = []
    while len(samples) < count:
        pids = holders.add(at_once)
        samples += calls.at_once([{"pid": pid, "containerId": f"a-{pid}", "className": "plain"} for pid in pids])
        for pid in pids:
            world.agent_api.call("Detach", containerId=f"a-{pid}")
    return measure.percentiles(samples)


def run_times(engine, image, runs, network, *annotations):
    """Rows of the table."""
    with_hook, without, added = [], [], []
    for _ in range(runs):
        pair = []
        for class_name, words in (("plain", annotations), (None, ())):
            milliseconds, result = timed(engine.run, image, "true", class_name=class_name, network=network, annotations=words)
            if result.returncode != 0:
                raise RuntimeError(f"not measured: {result.stderr}")
            pair.append(milliseconds)
        with_hook.append(pair[0])
        without.append(pair[1])
        added.append(pair[0] - pair[1])
    where = f"podman run --network {network}"
    return [(f"{where}, attached", measure.percentiles(with_hook)), (f"{where} without", measure.percentiles(without)),
            ("  added", measure.percentiles(added))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attaches", type=int, default=500)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    with harness.World() as world:
        world.cli("class", "apply", "plain")
        holders = Holders()
        world.closers.callback(holders.close)
        calls = AttachCalls(world)
        rows = [(f"Attach, {at_once} at once", attach_times(world, calls, holders, at_once, options.attaches))
                for at_once in (1, AT_ONCE)]
        engine = BridgeEngine(world)
        image = engine.busybox_image()
        rows += run_times(engine, image, options.runs, "none")
        rows += run_times(engine, image, options.runs, "net7", "sallyport.network=routed")
        measure.table("attaching a container", rows)


if __name__ == "__main__":
    main()
