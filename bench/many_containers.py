"""What a thousand idle containers cost a host: memory of agent and proxy for each, and whether they are in each other's way.

Real network namespaces are attached, held by a path each. Measured at --steps counts of them: the memory of agent and proxy; the
call of Attach for one more, one after the other and ten at once; a change of policy for one container until it is enforced; and CPU
time per attach and detach, which does not depend on who else is busy.
Usage: bench/run.sh many_containers [--steps 0,1000] [--attaches N] [--changes N]
"""

import argparse

import measure
from attach import AttachCalls, timed
from measure import harness
from netns import UnnamedNamespace

AT_ONCE = 10
TARGET_KIB = 64


def memory_kib(pid):
    """Proportional: of pages that programs share, its part."""
    rollup = harness.read_text(f"/proc/{pid}/smaps_rollup")
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


class Host:
    def __init__(self, world):
        self.world = world
        self.namespaces = []
        self.calls = AttachCalls(world)
        world.closers.callback(self.close)

    def close(self):
        for namespace in self.namespaces:
            namespace.close()

    def attach(self, *named):
        """All at once; each is a name and a namespace."""
        return self.calls.at_once([{"netnsPath": namespace.path, "containerId": name, "className": "plain", "wait": "10s"}
                                   for name, namespace in named])

    def detach(self, name):
        self.world.agent_api.call("Detach", containerId=name)

    def fill(self, count):
        """Until there are so many."""
        begin = len(self.namespaces)
        self.namespaces += [UnnamedNamespace() for _ in range(count - begin)]
        for first in range(begin, count, AT_ONCE):
            self.attach(*((f"idle-{number}", self.namespaces[number]) for number in range(first, min(first + AT_ONCE, count))))

    def pids(self):
        agent = self.world.agent.pid
        return {"agent": agent, "proxy": self.world.proxy_pid(), "control plane": self.world.control_plane.pid}


def attach_times(host, spares, at_once, count):
    samples = []
    while len(samples) < count:
        samples += host.attach(*((f"more-{number}", spares[number]) for number in range(at_once)))
        for number in range(at_once):
            host.detach(f"more-{number}")
    return samples


def measure_step(host, spares, options):
    world = host.world
    rows = []
    for at_once in (1, AT_ONCE):
        before = {name: measure.cpu_seconds(pid) for name, pid in host.pids().items()}
        samples = attach_times(host, spares, at_once, options.attaches)
        spent = {name: (measure.cpu_seconds(pid) - before[name]) * 1e3 / len(samples) for name, pid in host.pids().items()}
        rows.append((f"Attach, {at_once} at once", measure.percentiles(samples)))
    host.attach(("changed", spares[0]))
    changes = [timed(world.api.call, "AllowHost", containerId="changed", host=f"h{number}.test")[0] for number in range(options.changes)]
    host.detach("changed")
    rows.append(("a change of one container's policy", measure.percentiles(changes)))
    return rows, spent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="0,1000", help="containers that are attached already")
    parser.add_argument("--attaches", type=int, default=100)
    parser.add_argument("--changes", type=int, default=50)
    options = parser.parse_args()
    with harness.World() as world:
        world.cli("class", "apply", "plain")
        host = Host(world)
        spares = [UnnamedNamespace() for _ in range(AT_ONCE)]
        world.closers.callback(lambda: [spare.close() for spare in spares])
        attach_times(host, spares, AT_ONCE, AT_ONCE)  # What is made once is there.
        first = None
        for step in map(int, options.steps.split(",")):
            host.fill(step)
            memory = {name: memory_kib(pid) for name, pid in host.pids().items()}
            first = first or (step, memory)
            rows, spent = measure_step(host, spares, options)
            measure.table(f"{step} containers attached", rows)
            print("CPU ms per attach and detach:  " + "   ".join(f"{name} {value:.2f}" for name, value in spent.items()))
            print("memory, MiB:                   " + "   ".join(f"{name} {value / 1024:.1f}" for name, value in memory.items()))
            if step > first[0]:
                each = {name: (value - first[1][name]) / (step - first[0]) for name, value in memory.items()}
                print("KiB per container:             " + "   ".join(f"{name} {value:.1f}" for name, value in each.items())
                      + f"   agent and proxy {each['agent'] + each['proxy']:.1f} (target {TARGET_KIB})", flush=True)


if __name__ == "__main__":
    main()
