"""Hours of a host's life in one: containers that come and go, what they do and what they try, and policy that changes under it.

At random, from a fixed seed: containers are detached, or end, and others take their place; inside them clients make requests, large
and small, plain and decrypted, with a handler and without, relays and queries, and hang up, dawdle and send what is nothing; rules are
changed, and each change is tried as soon as it is enforced. Every answer is checked. Now and then all of it pauses, and what the
programs hold is counted: memory, descriptors, threads, mounts, files, and on the host network namespaces and rules. It ends with 1 if an
answer was wrong, or if anything is more in all of the last third of the counts than in any of the first.

Usage: bench/run.sh soak [--minutes N] [--containers N] [--users N] [--counts N]
       bench/run.sh --config=asan soak …    under AddressSanitizer, whose own memory is not judged
"""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

import measure
from measure import harness
from harness import Container, World, eventually, read_text
from netns import in_namespace, run
from sockets import read_response

ORIGIN = "203.0.113.10"
RELAY_PORT = 5432
NAMES = {name: ORIGIN for name in ("good.test", "evil.test", "late.test", "asked.test", "sealed.test")}
CLASSES = {
    "open": {},
    "plain": {"enable_internet": False, "allowed_hosts": ["good.test", ORIGIN]},
    "decrypted": {"enable_internet": False, "intercept_https": True, "allowed_hosts": ["good.test", ORIGIN]},
    "handled": {"enable_internet": False, "intercept_https": True, "allowed_hosts": ["good.test", "asked.test", ORIGIN],
                "outbound_by_host": [("asked.test", "answer")]},
}
# By whether all is allowed that is not denied: a first allowed host would forbid all others. And what late.test's status is then.
CHANGES = {True: (("DenyHost", 520), ("RemoveDeniedHost", 200)), False: (("AllowHost", 200), ("RemoveAllowedHost", 520))}
LARGE_BYTES = 1_000_000
UPLOAD_BYTES = 256_000
# Of so many containers one is in routed mode.
ROUTED_EACH = 9
CHANGE_SECONDS = 0.1
TURNOVER_SECONDS = 0.5
CLIENT_SECONDS = 30
# The audit's file is on a file system in memory.
AGENT_FLAGS = ["--audit-max-mib=32", "--audit-keep=1", "--limit=refusal_records_per_second=100000"]
# Longer than the proxy keeps an idle connection to an origin.
SETTLE_SECONDS = 40
MEMORY_GROWTH = 1.05
SPARE = {"memory MiB": 4, "descriptors": 4}
# gRPC starts one of these whenever calls have piled up, and keeps it.
EXECUTOR_THREAD = "default-executo"
MAX_EXECUTOR_THREADS = 2 * os.cpu_count()
RUSH_CLIENTS = 64
RUSH_CALLS = 50


class Wrong(Exception):
    """Not the answer that policy says."""


def expect(what, expected):
    if what != expected:
        raise Wrong(f"{str(what)[:200]!r} instead of {str(expected)[:200]!r}")


class RoutedContainer(Container):
    """With a pair to the host, as on a bridge: rules on the host hold it."""

    routed = True

    def __init__(self, world, container_id, class_name, number):
        self.pair = container_id.replace("c-", "veth")
        self.addresses = [f"10.100.{number // 64}.{number % 64 * 4 + end}/30" for end in (1, 2)]
        super().__init__(world, container_id, class_name)

    def attach(self, wait="5s"):
        for command in (f"link add {self.pair} type veth peer name eth0 netns {self.holder.pid}",
                        f"address add {self.addresses[0]} dev {self.pair}", f"link set {self.pair} up"):
            self.world.host_run("ip", *command.split())
        for command in (f"address add {self.addresses[1]} dev eth0", "link set eth0 up"):
            run(*self.command("ip", *command.split()))
        return super().attach(wait)


class Slot:
    """One container after the other."""

    def __init__(self, world, number):
        self.world = world
        self.number = number
        self.generation = 0
        # Held by whoever replaces the container or changes its rules; not by its clients.
        self.lock = threading.Lock()
        self.container = None
        self.leaving = False

    def fill(self):
        # Always of one class: what a container holds depends on it, and the counts are to compare.
        self.generation += 1
        class_name = list(CLASSES)[self.number % len(CLASSES)]
        container_id = f"c-{self.number}-{self.generation}"
        if self.number % ROUTED_EACH == 0:
            self.container = RoutedContainer(self.world, container_id, class_name, self.number)
        else:
            self.container = Container(self.world, container_id, class_name)
        self.leaving = False

    def empty(self, how):
        self.leaving = True
        if how == "detach":
            self.world.agent_api.call("Detach", containerId=self.container.id)
        self.container.close()


class Tally:
    """What was done, and what went wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.done = collections.Counter()
        self.wrong = collections.Counter()

    def count(self, what):
        with self.lock:
            self.done[what] += 1

    def fail(self, what, error):
        with self.lock:
            self.wrong[f"{what}: {error}"] += 1


class Gate:
    """Work passes while it is open; closing it waits for what is inside."""

    def __init__(self):
        self.changed = threading.Condition()
        self.open = True
        self.over = False
        self.inside = 0

    @contextlib.contextmanager
    def work(self):
        """False: it is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.open or self.over)
            goes_on = not self.over
            self.inside += goes_on
        try:
            yield goes_on
        finally:
            with self.changed:
                self.inside -= goes_on
                self.changed.notify_all()

    @contextlib.contextmanager
    def closed(self):
        with self.changed:
            self.open = False
            self.changed.wait_for(lambda: self.inside == 0)
        yield
        with self.changed:
            self.open = True
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()


# What clients do. Each takes a container, and raises Wrong, OSError or ValueError.

def request(connection, host, path, method="GET", body=b""):
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return read_response(connection)


def encrypted(container, stack, host):
    connection = stack.enter_context(container.connect(ORIGIN, 443, CLIENT_SECONDS))
    return stack.enter_context(container.tls(connection, host))


def get(container):
    with container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
        for path in ("/one", "/two", "/three"):
            expect(request(connection, "good.test", path)[::2], (200, f"origin good.test {path}"))


def get_encrypted(container):
    with contextlib.ExitStack() as stack:
        connection = encrypted(container, stack, "good.test")
        for path in ("/one", "/two"):
            expect(request(connection, "good.test", path)[::2], (200, f"origin good.test {path}"))


def ask_handler(container):
    if container.class_name != "handled":
        return get_encrypted(container)
    with contextlib.ExitStack() as stack:
        connection = encrypted(container, stack, "asked.test")
        for _ in range(2):
            status, _, body = request(connection, "asked.test", "/asked", "POST", b"question")
            expect((status, f'"container":"{container.id}"' in body.replace(" ", "")), (200, True))
    return None


def be_refused(container):
    if container.class_name == "open":
        return get(container)
    with container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
        status, headers, _ = request(connection, "evil.test", "/")
        expect((status, headers.get("sallyport-reason")), (520, "not_allowed"))
    return None


def download(container):
    with container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
        expect(len(request(connection, "good.test", f"/bytes/{LARGE_BYTES}")[2]), LARGE_BYTES)


def upload(container):
    with container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
        expect(request(connection, "good.test", "/digest", "POST", bytes(UPLOAD_BYTES))[2].split()[0], str(UPLOAD_BYTES))


def hang_up(container):
    with container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
        connection.sendall(f"GET /bytes/{100 * LARGE_BYTES} HTTP/1.1\r\nHost: good.test\r\n\r\n".encode())
        connection.recv(1000)


def dawdle(container):
    with container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
        for byte in b"GET / HTTP/1.1\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.05)


def send_nothing_known(container):
    with container.connect(ORIGIN, random.choice((80, 443)), CLIENT_SECONDS) as connection:
        connection.sendall(random.choice((b"\x16\x03\x01\x02\x00\x01", b"\0" * 100, b"GET  /\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
        connection.settimeout(0.2)
        with contextlib.suppress(OSError):
            connection.recv(1000)


def relay(container):
    if container.class_name != "open":
        return look_up(container)
    with container.connect(ORIGIN, RELAY_PORT, CLIENT_SECONDS) as connection:
        for _ in range(3):
            connection.sendall(b"\1ping")
            expect(connection.recv(5, socket.MSG_WAITALL), b"\1ping")
    return None


def look_up(container):
    query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\4good\4test\0" + struct.pack("!HH", 1, 1)
    with in_namespace(f"/proc/{container.holder.pid}/ns/net", socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(CLIENT_SECONDS)
        connection.sendto(query, ("192.0.2.53", 53))
        answer = connection.recv(1000)
    expect((answer[:2], answer[3] & 15), (query[:2], 0))


def get_http2(container):
    answer = container.curl("https://good.test/two", "--http2", address=ORIGIN)
    expect((answer.status, answer.body), (200, "origin good.test /two"))


ACTIONS = {get: 30, get_encrypted: 15, ask_handler: 15, be_refused: 10, download: 3, upload: 5, hang_up: 4, dawdle: 2,
           send_nothing_known: 5, relay: 5, look_up: 10, get_http2: 1}


class Soak:
    def __init__(self, world, containers):
        self.world = world
        self.tally = Tally()
        self.gate = Gate()
        self.slots = [Slot(world, number) for number in range(containers)]
        for slot in self.slots:
            slot.fill()

    def run(self, work):
        """`work()` again and again, in a thread."""
        def loop():
            while True:
                with self.gate.work() as goes_on:
                    if not goes_on:
                        return
                    try:
                        work()
                    except Exception:  # pylint: disable=broad-except
                        self.tally.fail(work.__name__, traceback.format_exc(limit=-2))
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        return thread

    def use(self):
        slot = random.choice(self.slots)
        container, action = slot.container, random.choices(list(ACTIONS), ACTIONS.values())[0]
        try:
            action(container)
            self.tally.count(action.__name__)
        except (Wrong, OSError, ValueError, IndexError) as error:
            if slot.container is container and not slot.leaving:
                self.tally.fail(action.__name__, repr(error))
            else:
                self.tally.count("cut off with its container")

    def replace(self):
        time.sleep(TURNOVER_SECONDS)
        slot = random.choice(self.slots)
        with slot.lock:
            slot.empty(random.choice(("detach", "end")))
            slot.fill()
        self.tally.count("replaced")

    def change(self):
        """What was answered ENFORCED is so for the next connection."""
        time.sleep(CHANGE_SECONDS)
        slot = random.choice(self.slots)
        with slot.lock:
            for method, expected in CHANGES[slot.container.class_name == "open"]:
                self.world.api.enforced(method, containerId=slot.container.id, host="late.test")
                with slot.container.connect(ORIGIN, 80, CLIENT_SECONDS) as connection:
                    expect(request(connection, "late.test", "/")[0], expected)
        self.tally.count("changed")


def rush(world):
    """As many calls at a time as there will ever be: the threads that gRPC starts for such a moment stay."""
    def call():
        for _ in range(RUSH_CALLS):
            world.agent_api.call("AgentControl.Status")
            world.api.call("GetHandler", name="answer")
    with concurrent.futures.ThreadPoolExecutor(RUSH_CLIENTS) as clients:
        for done in [clients.submit(call) for _ in range(RUSH_CLIENTS)]:
            done.result()


def memory_mib(pid):
    return next(int(line.split()[1]) for line in read_text(f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS")) / 1024


def thread_count(pid):
    """With as many of gRPC's executor as there may be, or as there are if that is more."""
    names = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append(read_text(f"/proc/{pid}/task/{task}/comm").strip())
    executor = names.count(EXECUTOR_THREAD)
    return len(names) - executor + max(executor, MAX_EXECUTOR_THREADS if executor else 0)


def files_below(path):
    return sum(len(files) for _, _, files in os.walk(path))


def held(world):
    """What the programs hold, by program and kind."""
    counts = {}
    for name, pid in (("agent", world.agent.pid), ("proxy", world.proxy_pid()), ("control plane", world.control_plane.pid)):
        counts[name, "memory MiB"] = memory_mib(pid)
        counts[name, "descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
        counts[name, "threads"] = thread_count(pid)
    counts["agent", "files"] = files_below(f"{world.dir}/run") + files_below(f"{world.dir}/agent")
    # The agent gives each container's namespace a number there, which ends with the namespace.
    counts["host", "namespaces"] = world.host_run("ip", "netns", "list-id").stdout.count("nsid")
    counts["host", "words of rules"] = len(world.host_run("nft", "list", "ruleset").stdout.split())
    counts["agent", "mounts"] = read_text(f"/proc/{world.agent.pid}/mountinfo").count(world.dir)
    return counts


def settled(world, containers):
    """Once all that was going on has ended: ends of containers are noticed within a second."""
    eventually(lambda: len(world.agent_api.call("ListAttached").get("containers", [])) == containers, 30, "as many attached as there are")
    time.sleep(SETTLE_SECONDS)
    return held(world)


def print_counts(counts, minutes, tally):
    print(f"{minutes:5.1f} min, {sum(tally.done.values()):,} done, {sum(tally.wrong.values())} wrong: " +
          ", ".join(f"{program} {value:.1f} {kind}" if kind == "memory MiB" else f"{program} {value} {kind}"
                    for (program, kind), value in counts.items()), flush=True)


def grown(counts, sanitized):
    """What was more in all of the last third of the counts than in any of the first."""
    third = max(1, len(counts) // 3)
    for key in counts[0]:
        if key[1] == "memory MiB" and sanitized:
            continue
        growth = MEMORY_GROWTH if key[1] == "memory MiB" else 1
        before, after = max(count[key] for count in counts[:third]), min(count[key] for count in counts[-third:])
        if after > before * growth + SPARE.get(key[1], 0):
            yield f"{key[0]}'s {key[1]} grew from {before:.1f} to {after:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--containers", type=int, default=200)
    parser.add_argument("--users", type=int, default=16, help="clients at work at a time")
    parser.add_argument("--counts", type=int, default=10)
    options = parser.parse_args()
    random.seed(1)
    sanitized = "SALLYPORT_SANITIZED" in os.environ
    with World(NAMES, agent_flags=AGENT_FLAGS) as world:
        world.start_handler("answer")
        for name, fields in CLASSES.items():
            world.apply_class(name, **fields)
        soak = Soak(world, options.containers)
        rush(world)
        threads = [soak.run(soak.use) for _ in range(options.users)] + [soak.run(soak.replace), soak.run(soak.change)]
        counts, begin = [], time.monotonic()
        for _ in range(options.counts):
            time.sleep(options.minutes * 60 / options.counts)
            with soak.gate.closed():
                counts.append(settled(world, options.containers))
                print_counts(counts[-1], (time.monotonic() - begin) / 60, soak.tally)
        soak.gate.end()
        for thread in threads:
            thread.join()
        for slot in soak.slots:
            slot.empty("detach")
        proxy, programs = world.proxy_pid(), [world.agent, world.control_plane]
        for program in programs:
            program.stop()
        ends = {os.path.basename(program.log_path): program.process.returncode for program in programs}
        reports = subprocess.run(["grep", "-hE", "ERROR: (Address|Leak|Thread)|runtime error:", *(program.log_path for program in programs)],
                                 capture_output=True, text=True, check=False).stdout
    print(f"\nsoak, {options.minutes:g} minutes, {options.containers} containers ({measure.machine()})")
    for what, number in soak.tally.done.most_common():
        print(f"  {number:>10,} {what}")
    failures = [f"{number} times {what}" for what, number in soak.tally.wrong.items()] + list(grown(counts, sanitized))
    failures += [f"{name} exited with {code}" for name, code in ends.items() if code != 0] + reports.splitlines()
    if os.path.exists(f"/proc/{proxy}"):
        failures.append("the proxy outlives its agent")
    for failure in failures:
        print(f"soak: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
