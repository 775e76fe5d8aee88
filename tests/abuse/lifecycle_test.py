"""Containers that come, go and pause, and an agent that is away meanwhile (NB, AG, TM of the abuse list)."""

import contextlib
import os
import signal
import socket
import threading
import unittest

from attacks import nothing_leaves
from harness import World, eventually
from netns import UnnamedNamespace

ORIGIN = "203.0.113.10"
NAMES = {"good.test": ORIGIN, "evil.test": ORIGIN}
EVIL = b"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"
NAMESPACES = 200
# More than a pipe holds.
RECORDS = 600


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


class LifecycleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES)
        cls.addClassCleanup(cls.world.close)
        cls.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        cls.world.api.call("ApplyClass", **{"class": {"name": "closed", "enableInternet": False, "allowedHosts": {"hosts": ["good.test"]}}})
        cls.bystander = cls.world.container("open", "bystander")

    def ask(self, namespace):
        """What a container says to evil.test, and hears; None: nothing was there to hear it."""
        try:
            with namespace.connect(ORIGIN, 80, 0.5) as connection:
                connection.sendall(EVIL)
                return connection.recv(4096)
        except OSError:
            return None

    def test_NB32_AG09_the_first_millisecond_is_not_free(self):
        namespace = UnnamedNamespace()
        self.addCleanup(namespace.close)
        answers = []
        attached = threading.Event()

        def hammer():
            last = False
            while not last:
                last = attached.is_set()
                answers.append(self.ask(namespace))

        with nothing_leaves(self, self.world, self.bystander):
            self.assertIsNone(self.ask(namespace), "nothing but a loopback that is down")
            hammering = threading.Thread(target=hammer)
            hammering.start()
            self.world.agent_api.call("Attach", containerId="racer", className="closed", netnsPath=namespace.path, wait="5s")
            attached.set()
            hammering.join()
        self.assertIn(b"not_allowed", answers[-1])
        for answer in filter(None, answers):
            self.assertIn(b" 520 ", answer)

    def test_AG14_namespaces_that_come_and_go_leave_nothing(self):
        agent, proxy = self.world.agent.pid, self.world.proxy_pid()

        def come_and_go(count):
            for number in range(count):
                namespace = UnnamedNamespace()
                self.world.agent_api.call("Attach", containerId=f"brief-{number}", className="closed", netnsPath=namespace.path,
                                          wait="5s")
                self.assertIn(b" 520 ", self.ask(namespace))
                # The last one who knows it goes, with listeners open inside.
                namespace.close()
                self.world.agent_api.call("Detach", containerId=f"brief-{number}")

        def held():
            return [count(pid) for count in (descriptors, threads) for pid in (agent, proxy)]

        come_and_go(5)
        before = held()
        come_and_go(NAMESPACES)
        eventually(lambda: all(now <= then + 4 for now, then in zip(held(), before)), 20, "descriptors and threads are given back")
        self.assertEqual(os.listdir(f"{self.world.dir}/run/containers"), ["bystander"])

    def break_off_anywhere(self, container):
        pieces = [b"", b"G", b"GET / HTTP/1.1\r\nHost: good", b"GET /bytes/3000000 HTTP/1.1\r\nHost: good.test\r\n\r\n", b"\x16", b"\x16\x03\x01\x02\0\x01"]
        for piece in pieces:
            for port in (80, 443, 5432, 53):
                for how in ("close", "reset", "half"):
                    # The other side may have been quicker to break off.
                    with contextlib.suppress(OSError), container.connect(ORIGIN, port) as connection:
                        connection.sendall(piece)
                        if how == "reset":
                            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        elif how == "half":
                            connection.shutdown(socket.SHUT_WR)

    def test_AG18_connections_that_break_off_anywhere(self):
        proxy = self.world.proxy_pid()
        container = self.world.container("open", "breaking")
        self.addCleanup(container.close)
        before = descriptors(proxy)
        # What a worker makes when it is first needed, and keeps: spare pipes, and who waits for hang-ups.
        self.break_off_anywhere(container)
        eventually(lambda: descriptors(proxy) <= before + 12, 30, "every connection is closed")
        before = descriptors(proxy)
        self.break_off_anywhere(container)
        eventually(lambda: descriptors(proxy) <= before + 4, 30, "every connection is closed")
        self.assertEqual(container.curl("http://good.test/", address=ORIGIN).status, 200)

    def test_NB33_a_container_that_was_paused_meanwhile_has_no_way_out_without_a_keeper(self):
        container = self.world.container("closed", "paused")
        self.addCleanup(container.close)
        os.kill(container.holder.pid, signal.SIGSTOP)
        self.world.agent.kill()
        before = self.world.origin_contacts()
        self.world.start_agent()
        os.kill(container.holder.pid, signal.SIGCONT)
        # With a keeper they stay: tests/restart_test.py. Without one its sockets went with the agent: nothing until it is
        # attached again, and policy from then on.
        with self.assertRaises(OSError):
            container.connect(ORIGIN, 80, 0.5)
        self.assertEqual(self.world.origin_contacts(), before)
        container.attach()
        self.bystander.attach()
        self.assertEqual(container.curl("http://evil.test/", address=ORIGIN).reason, "not_allowed")


class FullLogWorld(World):
    """The audit file is a pipe that nobody reads."""

    def start_agent(self, connected=True):
        path = f"{self.dir}/audit.jsonl"
        os.mkfifo(path, 0o600)
        self.closers.callback(os.close, os.open(path, os.O_RDWR | os.O_CLOEXEC))
        super().start_agent(connected)


class FullLogTest(unittest.TestCase):
    def test_TM05_RX09_a_log_that_takes_no_more_stops_nobody(self):
        world = FullLogWorld(NAMES)
        self.addCleanup(world.close)
        world.api.call("ApplyClass", **{"class": {"name": "closed", "enableInternet": False}})
        container = world.container("closed")
        with container.connect(ORIGIN, 80) as connection:
            file = connection.makefile("rb")
            for _ in range(RECORDS):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")
                self.assertEqual(file.readline().split()[1], b"520")
                while file.readline().strip():
                    pass
                file.read(len("Origin is disallowed"))
        world.agent.await_text("audit records lost so far: 1;")


if __name__ == "__main__":
    unittest.main(verbosity=2)
