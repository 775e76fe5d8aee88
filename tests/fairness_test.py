"""Slow clients of one container: each is ended, what it held is freed, and nobody else notices (RX03, H139, H213)."""

import socket
import time
import unittest

from harness import World, eventually, read_response, read_text
from netns import in_namespace
from slow_clients import KINDS, SlowClients, client_hello, opening

NAMES = {"good.test": "203.0.113.10"}
GOOD = NAMES["good.test"]
GET = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"
CONNECTIONS = 60
HANDSHAKES = 15
SECONDS = {"head": 1.0, "body": 2.0, "handshake": 1.5}
LIMITS = {"connections": CONNECTIONS, "handshakes": HANDSHAKES, "idle_timeout_ms": 2000,
          **{f"{name}_timeout_ms": int(seconds * 1000) for name, seconds in SECONDS.items()}}
# For a busy machine; that it ends at all is what counts.
SLACK_SECONDS = 8
LARGE = "/bytes/100000000"
MEBIBYTE = 1 << 20


class SlowTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        flags = [part for name, value in LIMITS.items() for part in ("--limit", f"{name}={value}")]
        cls.world = world = World(NAMES, agent_flags=flags)
        cls.addClassCleanup(world.close)
        world.apply_class("open", intercept_https=True, denied_hosts=["evil.test"])
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.container = self.world.container("open", f"slow-{self.number}")
        self.addCleanup(self.container.close)

    def used(self, container):
        """What it uses of each limit, and which it has exceeded."""
        usage = self.world.agent_api.call("AgentControl.Usage")
        limits = next(one.get("limits", []) for one in usage["containers"] if one["containerId"] == container.id)
        return ({limit["name"]: int(limit["used"]) for limit in limits if "used" in limit},
                {limit["name"]: int(limit["exceeded"]) for limit in limits if "exceeded" in limit})

    def await_freed(self, container):
        def freed():
            used = self.used(container)[0]
            # Connections to origins are kept for a while.
            used.pop("origin_connections", None)
            return not used
        eventually(freed, 20, f"everything of {container.id} is freed: {self.used(container)}")

    def proxy_bytes(self):
        resident = read_text(f"/proc/{self.world.proxy_pid()}/statm").split()[1]
        return int(resident) * 4096


class EachKindEndsTest(SlowTest):
    def open(self, tls, receive_buffer=None):
        def make():
            connection = socket.socket()
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(20)
            connection.connect((GOOD, 443 if tls else 80))
            return connection
        connection = in_namespace(f"/proc/{self.container.holder.pid}/ns/net", make)
        if tls:
            connection = self.container.tls(connection, "good.test")
        self.addCleanup(connection.close)
        return connection

    def await_end(self, connection, kind, begin):
        """What came before the end, which came in time."""
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except OSError as error:
            self.assertNotIsInstance(error, TimeoutError)
        seconds = time.monotonic() - begin
        self.assertGreaterEqual(seconds, SECONDS[kind] * 0.9)
        self.assertLess(seconds, SECONDS[kind] + SLACK_SECONDS)
        return received

    def test_head(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                connection = self.open(tls)
                begin = time.monotonic()
                connection.sendall(GET[:-2])
                self.assertTrue(self.await_end(connection, "head", begin).startswith(b"HTTP/1.1 408 "))
                self.await_freed(self.container)

    def test_body(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                connection = self.open(tls)
                begin = time.monotonic()
                connection.sendall(opening("body", "good.test", "/digest"))
                self.assertNotIn(b" 200 ", self.await_end(connection, "body", begin))
                self.await_freed(self.container)

    def test_unread_answer(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                connection = self.open(tls, receive_buffer=4096)
                connection.sendall(opening("read", "good.test", LARGE))
                begin = time.monotonic()
                eventually(lambda: self.used(self.container)[0].get("requests") == 1)
                self.await_freed(self.container)
                self.assertLess(time.monotonic() - begin, SECONDS["body"] + SLACK_SECONDS)
                record = eventually(lambda: [line for line in self.world.audit.all() if line["containerId"] == self.container.id
                                             and line.get("path") == LARGE and line["scheme"] == ("https" if tls else "http")])[-1]
                self.assertLess(record["bytesSent"], 100000000)

    def test_handshake(self):
        for hello, kind in ((client_hello("good.test"), "handshake"), (client_hello("good.test")[:50], "head")):
            connection = in_namespace(f"/proc/{self.container.holder.pid}/ns/net", socket.create_connection, (GOOD, 443))
            self.addCleanup(connection.close)
            connection.settimeout(20)
            begin = time.monotonic()
            connection.sendall(hello)
            self.await_end(connection, kind, begin)
            self.await_freed(self.container)

    def test_silence(self):
        begin = time.monotonic()
        self.assertEqual(self.await_end(self.open(tls=False), "head", begin), b"")
        self.await_freed(self.container)


class ManyTest(SlowTest):
    def test_others_are_served_and_memory_comes_back(self):
        other = self.world.container("open", "other")
        kept = other.connect(GOOD, 80)
        self.addCleanup(kept.close)
        kept.sendall(GET)
        self.assertEqual(read_response(kept)[0], 200)
        before = self.proxy_bytes()
        slow = SlowClients(self.container, GOOD, "good.test", LARGE, 200, dribble_seconds=0.2)
        try:
            eventually(lambda: self.used(self.container)[0].get("connections") == CONNECTIONS, what="all that may be are open")
            most = 0
            for round_number in range(30):
                kept.sendall(GET)
                self.assertEqual(read_response(kept)[0], 200)
                if round_number % 10 == 0:
                    self.assertEqual(other.curl("https://good.test/", address=GOOD).status, 200)
                used, _ = self.used(self.container)
                self.assertLessEqual(used.get("connections", 0), CONNECTIONS)
                self.assertLessEqual(used.get("handshakes", 0), HANDSHAKES)
                most = max(most, self.proxy_bytes())
            # Bodies go on as long as their bytes come. How unread answers end is the other tests'.
            eventually(lambda: all(slow.ended[kind] for kind in KINDS if kind not in ("body", "read")), 30, "slow clients end")
        finally:
            slow.close()
        self.assertLess(most, before + 64 * MEBIBYTE)
        _, exceeded = self.used(self.container)
        self.assertGreaterEqual(exceeded["connections"], 1)
        self.assertEqual(self.used(other)[1], {})
        self.await_freed(self.container)
        kept.sendall(GET)
        self.assertEqual(read_response(kept)[0], 200)
        self.assertEqual(self.world.status().get("proxyRestarts", 0), 0)


if __name__ == "__main__":
    unittest.main()
