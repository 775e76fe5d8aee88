"""The whole proxy is short of descriptors or memory: what it sheds, and that it goes on by itself."""

import contextlib
import os
import re
import struct
import subprocess
import sys
import time
import unittest

from fakes.http2_peer import Http2Peer
from harness import World, eventually, read_response, read_text

NAMES = {"good.test": "203.0.113.10"}
GOOD = NAMES["good.test"]
GET = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"
MEBIBYTE = 1 << 20
# RFC 9113 section 6.
DATA, HEADERS, GOAWAY, END_STREAM = 0, 1, 7, 1


def cpu_seconds(pid):
    fields = read_text(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Overloaded:
    """Steps that both kinds of overload share."""

    def usage(self):
        return self.world.agent_api.call("AgentControl.Usage")["proxy"]

    def memory_of(self, container_id):
        containers = self.world.agent_api.call("AgentControl.Usage")["containers"]
        limits = next(one["limits"] for one in containers if one["containerId"] == container_id)
        return next(int(limit.get("used", 0)) for limit in limits if limit["name"] == "memory_bytes")

    def connect(self, payload=b"", container=None):
        connection = (container or self.container).connect(GOOD, 80)
        self.addCleanup(connection.close)
        if payload:
            connection.sendall(payload)
        return connection

    def assert_not_accepted(self, connection):
        connection.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)


class DescriptorsTest(Overloaded, unittest.TestCase):
    """RX02."""

    def setUp(self):
        # So that connections without a request last as long as a test.
        self.world = World(NAMES, agent_flags=["--limit", "head_timeout_ms=120000"])
        self.addCleanup(self.world.close)
        self.world.apply_class("open")
        self.container = self.world.container("open", "many")
        self.pid = self.world.proxy_pid()

    def limit_descriptors(self, count):
        """Its soft limit, as the proxy's own user: root may lack CAP_SYS_RESOURCE, and the hard limit stays."""
        status = read_text(f"/proc/{self.pid}/status")
        user, group = (int(re.search(rf"(?m)^{name}:\t(\d+)", status).group(1)) for name in ("Uid", "Gid"))
        subprocess.run(["prlimit", f"--pid={self.pid}", f"--nofile={count}:"], user=user, group=group, extra_groups=[], check=True)

    def test_waits_without_spinning_and_obeys_the_agent(self):
        self.limit_descriptors(400)
        room = (400 - 64) * 3 // 5
        eventually(lambda: int(self.usage()["maxConnections"]) == room, what="the limit was seen")
        # Without requests, for which descriptors of connections to origins would go.
        held = [self.connect() for _ in range(room)]
        eventually(lambda: int(self.usage().get("connections", 0)) == room, what="all that may be are open")
        waiting = [self.connect(GET) for _ in range(50)]
        eventually(lambda: int(self.usage().get("acceptPauses", 0)) > 0, what="accepting has paused")
        begin, used = time.monotonic(), cpu_seconds(self.pid)
        self.assert_not_accepted(waiting[-1])
        self.assertLess(cpu_seconds(self.pid) - used, (time.monotonic() - begin) / 2)
        self.assertEqual(int(self.usage()["connections"]), room)
        # Commands that come with descriptors are carried out all the same.
        other = self.world.container("open", "another")
        self.world.api.enforced("DenyHost", containerId="another", host="x.test")
        other.close()
        self.assertEqual(self.world.proxy_pid(), self.pid)
        for connection in held[:100]:
            connection.close()
        for connection in waiting:
            self.assertEqual(read_response(connection)[0], 200)
        self.assertEqual(self.world.status().get("proxyRestarts", 0), 0)

    def test_without_any_descriptor_left_accepting_backs_off(self):
        """The limit falls below what is open, so that accept(2) itself fails."""
        first = self.connect(GET)
        self.assertEqual(read_response(first)[0], 200)
        # UBSan takes a descriptor to look at a type for the first time.
        self.usage()
        self.limit_descriptors(10)
        # A burst that comes before anybody has looked at the limit, or after.
        held = [self.connect(GET) for _ in range(20)]
        eventually(lambda: int(self.usage().get("acceptPauses", 0)) > 0, what="accepting has paused")
        used = cpu_seconds(self.pid)
        time.sleep(1)
        self.assertLess(cpu_seconds(self.pid) - used, 0.5)
        first.sendall(GET)
        self.assertEqual(read_response(first)[0], 200)
        self.limit_descriptors(4096)
        for connection in held:
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(read_response(connection)[0], 200)
        self.assertEqual(read_response(self.connect(GET))[0], 200)


class Cgroup:
    """A cgroup of its own that counts memory: of version 1 or 2, whichever this system has."""

    def __init__(self, name):
        self.v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        self.path = os.path.join("/sys/fs/cgroup" if self.v2 else "/sys/fs/cgroup/memory", name)
        os.mkdir(self.path)
        if not os.path.exists(self.file("limit")):
            self.close()
            raise OSError(f"{self.path} does not count memory")

    def file(self, which):
        names = {"limit": "memory.max", "current": "memory.current", "stat": "memory.stat"} if self.v2 else {
            "limit": "memory.limit_in_bytes", "current": "memory.usage_in_bytes", "stat": "memory.stat"}
        return os.path.join(self.path, names[which])

    def set_limit(self, count):
        with open(self.file("limit"), "w", encoding="ascii") as file:
            file.write(str(count))

    def used(self):
        """Bytes; without pages of files, which the kernel takes back when it needs them."""
        stat = dict(line.split() for line in read_text(self.file("stat")).splitlines())
        files = [int(stat[("" if self.v2 else "total_") + name]) for name in ("active_file", "inactive_file")]
        return int(read_text(self.file("current"))) - sum(files)

    def command(self, command):
        """Runs the command inside."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', f"{self.path}/cgroup.procs", *command]

    def close(self):
        eventually(lambda: not read_text(f"{self.path}/cgroup.procs").strip(), what="the cgroup is empty")
        os.rmdir(self.path)


class Ballast:
    """A process that holds as much memory as it is told."""

    CODE = """
import sys
held = bytearray()
for line in sys.stdin:
    held = bytearray(b"x") * int(line)
    print("holds", flush=True)
"""

    def __init__(self, cgroup):
        self.process = subprocess.Popen(cgroup.command([sys.executable, "-c", self.CODE]), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def hold(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "holds\n":
            raise RuntimeError("the ballast has gone")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class MemoryTest(Overloaded, unittest.TestCase):
    """RX15, with the limit of a cgroup that agent, proxy and a ballast share."""

    LIMIT = 400 * MEBIBYTE

    def setUp(self):
        self.cgroup = cgroup = Cgroup(f"sallyport-test-{os.getpid()}")
        self.addCleanup(cgroup.close)
        cgroup.set_limit(self.LIMIT)

        class WorldInCgroup(World):
            def start(self, name, command, namespace=None, **options):
                return super().start(name, cgroup.command(command) if name == "agent" else command, namespace, **options)

        self.world = WorldInCgroup(NAMES)
        self.addCleanup(self.world.close)
        self.ballast = Ballast(cgroup)
        self.addCleanup(self.ballast.close)
        self.world.apply_class("open")
        self.container = self.world.container("open", "c")

    def fill(self, percent):
        """Whoever reads it next sees that share of the limit in use."""
        self.ballast.hold(0)
        self.ballast.hold(int(self.LIMIT * percent / 100) - self.cgroup.used())

    def await_shedding(self, what):
        eventually(lambda: self.usage().get("shedding", "") == what, what=f"sheds {what or 'nothing'}")

    def send_request(self, peer):
        peer.next_stream()
        peer.send_head((":method", "GET"), (":scheme", "http"), (":authority", "good.test"), (":path", "/"), end=True)

    def ask(self, peer):
        self.send_request(peer)
        self.assertEqual(peer.read_head()[":status"], "200")
        peer.read_end()

    def assert_told_to_go(self, peer):
        """With its next request, which is the last that is served. As bytes: python3-h2 takes no answer that comes with GOAWAY."""
        self.send_request(peer)
        last_stream = answered = None
        with peer.connection.makefile("rb") as file:
            while last_stream is None or not answered:
                high, low, kind, flags, stream = struct.unpack("!BHBBI", file.read(9))
                payload = file.read(high << 16 | low)
                if kind == GOAWAY:
                    last_stream, error = struct.unpack("!II", payload[:8])
                    self.assertEqual((last_stream, error), (peer.stream, 0))
                elif stream == peer.stream:
                    self.assertIn(kind, (DATA, HEADERS))
                    answered = flags & END_STREAM

    def test_sheds_by_rule(self):
        kept = self.connect(GET)
        status, headers, _ = read_response(kept)
        self.assertEqual((status, headers.get("connection")), (200, None))
        self.assertEqual(int(self.usage()["maxMemoryBytes"]), self.LIMIT)

        two = Http2Peer(self.connect(), client=True)
        self.ask(two)
        self.fill(93.5)
        self.await_shedding("keep_alive")
        status, headers, _ = read_response(self.connect(GET))
        self.assertEqual((status, headers.get("connection")), (200, "close"))
        self.assert_told_to_go(two)

        self.fill(96.5)
        self.await_shedding("requests")
        status, headers, body = read_response(self.connect(GET))
        self.assertEqual((status, headers["sallyport-reason"], headers["retry-after"]), (503, "overloaded", "1"))
        self.assertEqual(body, "overloaded\n")
        record = eventually(lambda: [line for line in self.world.audit.all() if line.get("reason") == "overloaded"])[-1]
        self.assertEqual((record["decision"], record["status"]), ("reject", 503))
        self.assertGreaterEqual(int(self.usage()["refusedRequests"]), 1)

        self.fill(98.6)
        self.await_shedding("connections")
        waiting = self.connect(GET)
        self.assert_not_accepted(waiting)

        self.ballast.hold(0)
        self.await_shedding("")
        self.assertEqual(read_response(waiting)[0], 200)
        self.assertEqual(self.world.status().get("proxyRestarts", 0), 0)


class OwnMemoryTest(Overloaded, unittest.TestCase):
    def test_a_limit_that_is_too_small_accepts_nothing(self):
        self.world = World(NAMES, agent_flags=["--max-memory-mib", "1"])
        self.addCleanup(self.world.close)
        self.world.apply_class("open")
        self.container = self.world.container("open", "c")
        self.assertEqual(self.usage()["shedding"], "connections")
        self.assert_not_accepted(self.connect(GET))

    def test_connections_wait_for_their_containers_memory(self):
        """1 MiB are 64 connections as they are reckoned."""
        self.world = World(NAMES, agent_flags=["--limit", f"memory_bytes={MEBIBYTE}"])
        self.addCleanup(self.world.close)
        self.world.apply_class("open")
        self.container = self.world.container("open", "c")
        other = self.world.container("open", "other")
        held = [self.connect() for _ in range(65)]
        eventually(lambda: [line for line in self.world.audit.all() if line.get("detail") == "memory_bytes"])
        self.assertEqual(read_response(self.connect(GET, other))[0], 200)
        for connection in held[:8]:
            connection.close()
        eventually(lambda: self.memory_of("c") <= (65 - 8) * MEBIBYTE // 64, what="what they held is given back")
        held[-1].sendall(GET)
        self.assertEqual(read_response(held[-1])[0], 200)


if __name__ == "__main__":
    unittest.main()
