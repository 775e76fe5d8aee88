"""One control plane and a fleet of simulated agents, on one machine: what a change costs, and what an agent costs.

The control plane is the real sallyportd, on TCP. The agents (bench/fleet) are in one process: each has a connection of its
own, the real protocol and the real pauses, acks at once and has neither proxy nor disk. Both sides share the cores.

  class       one class change reaches all containers
  container   changes of single containers at a steady rate
  reconnect   all agents lose their stream at once; the control plane is killed and started anew
  memory      resident memory of sallyportd, per agent and per container

Usage: bench/run.sh fleet [--agents N] [--containers N] [--rate N] [--seconds N]
"""

import argparse
import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time

import measure
from measure import harness


class ControlPlane:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="sallyport-bench-", dir="/var/tmp")
        self.address = "127.0.0.1:0"
        self.start()

    def start(self):
        self.log = open(f"{self.dir}/log", "a", encoding="utf-8")
        self.process = subprocess.Popen([harness.binary("sallyportd"), "--state-dir", f"{self.dir}/state", "--listen", self.address],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.address = re.match(r"listening on (\S+)", self.process.stdout.readline()).group(1)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def close(self):
        self.kill()
        shutil.rmtree(self.dir)

    def memory_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", harness.read_text(f"/proc/{self.process.pid}/status")).group(1))

    def cpu_seconds(self):
        fields = harness.read_text(f"/proc/{self.process.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Fleet:
    def __init__(self, address):
        self.process = subprocess.Popen([harness.binary("fleet"), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], 400)[0]:
            raise TimeoutError(words)
        answer = json.loads(self.process.stdout.readline())
        if answer.get("ok") is False:
            raise RuntimeError(f"{words}: {answer}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


@contextlib.contextmanager
def fleet_of():
    control_plane = ControlPlane()
    try:
        fleet = Fleet(control_plane.address)
        try:
            yield control_plane, fleet
        finally:
            fleet.close()
    finally:
        control_plane.close()


def changes(options):
    with fleet_of() as (control_plane, fleet):
        begin = fleet.ask("connect", options.agents, options.containers)
        print(f"{options.agents} agents x {options.containers} containers, new: steady after {begin['seconds']:.2f} s "
              f"({measure.machine()})", flush=True)
        before = control_plane.cpu_seconds()
        result = fleet.ask("classes", options.classes)
        cpu = (control_plane.cpu_seconds() - before) / options.classes
        measure.table(f"class change to all, {options.classes} times", [
            ("until a container's agent has it", result["received"]), ("until enforced everywhere", result["answered"])])
        print(f"CPU of sallyportd: {cpu * 1e3:.0f} ms a change")
        before = control_plane.cpu_seconds()
        result = fleet.ask("load", options.rate, options.seconds)
        cpu = (control_plane.cpu_seconds() - before) / (options.rate * options.seconds)
        measure.table(f"{options.rate} changes of single containers a second, {options.seconds} s", [
            ("until its agent has it", result["received"]), ("until enforced", result["answered"])])
        print(f"not enforced: {result['not_enforced']}; CPU of sallyportd: {cpu * 1e6:.0f} µs a change")
        print(f"\nall streams ended at once: steady after {fleet.ask('reconnect', 120)['seconds']:.2f} s")
        control_plane.kill()
        fleet.ask("lost", 60)
        control_plane.start()
        begin = time.monotonic()
        fleet.ask("steady", 120)
        print(f"sallyportd killed and started anew: steady {time.monotonic() - begin:.2f} s after its start", flush=True)


def memory(options):
    """Slopes, over fleets of several sizes."""
    print(f"\nmemory of sallyportd\n{'agents':>10}{'containers':>12}{'RSS KiB':>10}")
    def sizes(steps):
        rows = []
        with fleet_of() as (control_plane, fleet):
            for agents, containers in steps:
                fleet.ask("connect", agents, containers)
                rows.append((agents, agents * containers, control_plane.memory_kib()))
                print(f"{rows[-1][0]:>10}{rows[-1][1]:>12}{rows[-1][2]:>10}", flush=True)
        return rows
    few = sizes([(options.agents // 4 * step, options.containers) for step in (1, 2, 3, 4)])
    many = sizes([(options.agents // 4 * step, options.containers * 4) for step in (1, 2)])
    agent = (few[3][2] - few[0][2]) / (few[3][0] - few[0][0])
    container = (many[1][2] - many[0][2] - (few[1][2] - few[0][2])) / (many[1][1] - many[0][1] - (few[1][1] - few[0][1]))
    print(f"an agent with {options.containers} containers: {agent:.1f} KiB; a container: {container:.2f} KiB; "
          f"an agent alone: {agent - options.containers * container:.1f} KiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--containers", type=int, default=10)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    harness.BINARIES["fleet"] = "bench/fleet/fleet"
    changes(options)
    if not options.no_memory:
        memory(options)


if __name__ == "__main__":
    main()
