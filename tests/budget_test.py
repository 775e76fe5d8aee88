"""What one container may use: each limit is enforced, counted, recorded and its own."""

import subprocess
import sys
import time
import unittest

import harness
from budgets import ECHO_PORT, GET, GOOD, BudgetCase
from harness import eventually, read_response
from slow_clients import client_hello
from sockets import read_all

WS = "203.0.113.20"
RAW_PORT = 8080
LIMITS = {
    "connections": 24, "handshakes": 4, "handshake_timeout_ms": 2000, "requests": 10, "websockets": 3, "handler_calls": 4,
    "handler_calls_per_second": 20, "origin_connections": 12, "header_bytes": 2048, "header_count": 20, "head_timeout_ms": 1000,
    "idle_timeout_ms": 4000, "refusal_records_per_second": 5, "leaves_per_second": 1, "relay_idle_timeout_ms": 6000,
    "memory_bytes": 3 << 19,
}
REFUSAL_RECORDS_BURST = 1000

DENIED = b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"
UNFINISHED = b"POST /digest HTTP/1.1\r\nHost: good.test\r\nContent-Length: 10\r\n\r\n1"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
WEBSOCKET = (b"GET /" + SWITCH.hex().encode() + b" HTTP/1.1\r\nHost: ws.test:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


class BudgetTest(BudgetCase):
    NAMES = {"good.test": GOOD, "ws.test": WS, "evil.test": GOOD}
    LIMITS = LIMITS

    @classmethod
    def setUpClass(cls):
        cls.start_world(addresses=[GOOD, WS])
        world = cls.world
        raw = world.start("raw_origin", [sys.executable, harness.source("fakes/websocket_origin.py"), "--certificate",
                                         f"{world.dir}/origin.pem", "--raw", f"{WS}@{RAW_PORT}"], world.internet, stdin=subprocess.PIPE)
        raw.await_text('"ready"')
        cls.handler = world.start_handler("stall", "respond")
        ports = [f"--http-port={port}" for port in (80, 443, RAW_PORT)]
        world.cli("class", "apply", "open", "--intercept-https=true", "--denied-host=evil.test", *ports)
        world.apply_class("stalled", outbound="stall")
        world.apply_class("answered", outbound="respond")
        cls.other = world.container("open", "other")

    def test_connections_wait_until_one_ends(self):
        held = [self.connect() for _ in range(LIMITS["connections"])]
        self.await_used("connections", LIMITS["connections"])
        waiting = self.connect(b"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
        self.await_record(decision="delay", reason="over_budget", detail="connections")
        waiting.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            waiting.recv(1)
        self.assert_served(self.other)
        held[0].close()
        waiting.settimeout(10)
        self.assertIn(b" 520 ", read_all(waiting).split(b"\r\n")[0])
        used, exceeded = self.limit("connections")
        self.assertLessEqual(used, LIMITS["connections"])
        self.assertGreaterEqual(exceeded, 1)
        self.assertEqual(self.limit("connections", self.other)[1], 0)

    def test_handshakes_beyond_are_reset(self):
        for _ in range(LIMITS["handshakes"]):
            self.connect(client_hello("good.test"), port=443)
        self.await_used("handshakes", LIMITS["handshakes"])
        refused = self.connect(client_hello("good.test"), port=443)
        with self.assertRaises(ConnectionResetError):
            read_all(refused)
        self.await_record(decision="reject", reason="over_budget", detail="good.test: handshakes")
        self.assertEqual(self.other.curl("https://good.test/", address=GOOD).status, 200)
        # The unfinished ones end by themselves.
        self.await_used("handshakes", 0)
        self.await_used("connections", 0)
        self.assertEqual(self.container.curl("https://good.test/", address=GOOD).status, 200)

    def test_large_hellos_need_memory(self):
        """Before they are whole: what every connection is reckoned to hold does not cover them."""
        begun = b"\x16\x03\x01\x40\x00\x01\x00\xff\x00".ljust(12_000, b"a")
        held = 2 * 64 * 1024 + 16 * 1024
        at_once = LIMITS["memory_bytes"] // held + 2
        self.assertLess(at_once, LIMITS["connections"])

        def refused():
            connections = [self.connect(begun, port=443) for _ in range(at_once)]
            found = self.records(decision="reject", scheme="tls", reason="over_budget", detail="memory_bytes")
            for one in connections:
                one.close()
            return found

        eventually(refused, what="a hello without room")
        self.assertGreaterEqual(self.limit("memory_bytes")[1], 1)
        self.assertEqual(self.limit("memory_bytes", self.other)[1], 0)
        self.await_used("memory_bytes", 0)
        self.assertEqual(self.container.curl("https://good.test/", address=GOOD).status, 200)

    def test_certificates_beyond_wait(self):
        """Names that were asked for before do not."""
        begin = time.monotonic()
        for number in range(4):
            # There is no such origin, which is told over TLS.
            self.assertEqual(self.container.curl(f"https://n{number}.gone.test/", address=GOOD).status, 502)
        self.assertGreaterEqual(time.monotonic() - begin, 2.9)
        _, exceeded = self.limit("leaves_per_second")
        self.assertGreaterEqual(exceeded, 1)
        for _ in range(4):
            self.assertEqual(self.container.curl("https://n0.gone.test/", address=GOOD).status, 502)
        self.assertEqual(self.limit("leaves_per_second")[1], exceeded)
        self.assertEqual(self.limit("handshakes_per_second")[1], 0)

    def test_a_silent_relay_ends(self):
        connection = self.connect(b"hello", port=ECHO_PORT)
        self.assertEqual(connection.recv(5), b"hello")
        begin = time.monotonic()
        with self.assertRaises(ConnectionResetError):
            read_all(connection)
        self.assertGreaterEqual(time.monotonic() - begin, LIMITS["relay_idle_timeout_ms"] / 1000 - 0.1)

    def test_requests_beyond_are_429_and_the_connection_is_kept(self):
        held = [self.connect(UNFINISHED) for _ in range(LIMITS["requests"])]
        self.await_used("requests", LIMITS["requests"])
        refused = self.connect(GET)
        self.assert_over_budget(refused, 429, "requests")
        self.assert_served(self.other)
        held[0].sendall(b"234567890")
        self.assertEqual(read_response(held[0])[0], 200)
        # The client has its answer before the proxy has put the request aside.
        self.await_used("requests", LIMITS["requests"] - 1)
        refused.sendall(GET)
        self.assertEqual(read_response(refused)[0], 200)

    def test_websockets_beyond_are_429(self):
        held = [self.connect(WEBSOCKET, port=RAW_PORT, address=WS) for _ in range(LIMITS["websockets"])]
        for one in held:
            self.assertIn(b" 101 ", one.recv(4096))
        self.assert_over_budget(self.connect(WEBSOCKET, port=RAW_PORT, address=WS), 429, "websockets")
        # Ordinary requests are not WebSockets.
        self.assert_served(self.container)
        other = self.connect(WEBSOCKET, port=RAW_PORT, address=WS, container=self.other)
        self.assertIn(b" 101 ", other.recv(4096))
        held[0].close()
        self.await_used("websockets", LIMITS["websockets"] - 1)
        self.assertIn(b" 101 ", self.connect(WEBSOCKET, port=RAW_PORT, address=WS).recv(4096))

    def test_handler_calls_beyond_never_reach_the_handler(self):
        self.container = self.attach("stalled")
        seen = self.handler.lines.count()
        held = [self.connect(GET) for _ in range(LIMITS["handler_calls"])]
        self.await_used("handler_calls", LIMITS["handler_calls"])
        self.assert_over_budget(self.connect(GET), 429, "handler_calls")
        for one in held:
            self.assertEqual(read_response(one)[0], 200)
        self.assertEqual(len(self.handler.lines.since(seen)), LIMITS["handler_calls"])
        self.await_used("handler_calls", 0)

    def test_handler_calls_are_limited_by_the_second(self):
        self.container = self.attach("answered")
        seen = self.handler.lines.count()
        rate = LIMITS["handler_calls_per_second"]
        connection = self.connect()
        begin = time.monotonic()
        statuses = []
        for _ in range(4 * rate):
            connection.sendall(GET)
            statuses.append(read_response(connection)[0])
        seconds = time.monotonic() - begin
        calls = statuses.count(200)
        self.assertEqual(statuses.count(429), len(statuses) - calls)
        self.assertGreaterEqual(calls, rate)
        self.assertLessEqual(calls, rate + rate * seconds + 1)
        self.assertEqual(len(self.handler.lines.since(seen)), calls)
        self.assertEqual(self.limit("handler_calls_per_second")[1], len(statuses) - calls)

    def test_origin_connections_beyond_are_503_and_resets(self):
        held = [self.connect(b"hello", port=ECHO_PORT) for _ in range(LIMITS["origin_connections"])]
        for one in held:
            self.assertEqual(one.recv(5), b"hello")
        self.assert_over_budget(self.connect(GET), 503, "origin_connections")
        with self.assertRaises(ConnectionResetError):
            read_all(self.connect(b"hello", port=ECHO_PORT))
        self.assert_served(self.other)
        held[0].close()
        self.await_used("origin_connections", LIMITS["origin_connections"] - 1)
        self.assert_served(self.container)

    def test_heads_beyond_are_431(self):
        for name, lines in (("header_bytes", ["X: " + "a" * LIMITS["header_bytes"]]),
                            ("header_count", [f"X{i}: y" for i in range(LIMITS["header_count"])])):
            head = "".join(f"{line}\r\n" for line in lines).encode()
            answer = self.container.raw(GOOD, 80, b"GET / HTTP/1.1\r\nHost: good.test\r\n" + head + b"\r\n")
            self.assertTrue(answer.startswith(b"HTTP/1.1 431 "), answer[:60])
            options = [option for line in lines for option in ("--header", line)]
            self.assertEqual(self.container.curl("http://good.test/", "--http2-prior-knowledge", *options, address=GOOD).status, 431)
            self.assertEqual((self.limit(name)[1], self.limit(name, self.other)[1]), (2, 0))

    def test_a_slow_head_is_408(self):
        begin = time.monotonic()
        answer = self.container.raw(GOOD, 80, GET[:-4])
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer[:60])
        self.assertGreaterEqual(time.monotonic() - begin, LIMITS["head_timeout_ms"] / 1000)
        self.await_used("connections", 0)

    def test_refusals_are_recorded_up_to_a_rate_and_then_counted(self):
        count = REFUSAL_RECORDS_BURST + 300
        connection = self.connect()
        begin = time.monotonic()
        for _ in range(count // 100):
            connection.sendall(DENIED * 100)
            for _ in range(100):
                self.read_denial(connection)
        self.assert_served(self.container)
        record = self.await_record(decision="egress")
        seconds = time.monotonic() - begin
        denials = self.records(decision="deny")
        self.assertGreaterEqual(len(denials), REFUSAL_RECORDS_BURST)
        self.assertLessEqual(len(denials), REFUSAL_RECORDS_BURST + LIMITS["refusal_records_per_second"] * seconds + 1)
        suppressed = record.get("suppressed", 0) + sum(line.get("suppressed", 0) for line in denials)
        self.assertEqual(suppressed, count - len(denials))
        self.assertEqual(self.limit("refusal_records_per_second")[1], suppressed)
        # Nobody else's are left out.
        self.assertEqual(self.other.curl("http://evil.test/", address=GOOD).status, 520)
        eventually(lambda: [line for line in self.world.audit.all() if line["containerId"] == "other"
                            and line["decision"] == "deny" and "suppressed" not in line])

    def read_denial(self, connection):
        """Of pipelined answers: a buffered reader would take too much."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        self.assertTrue(head.startswith(b"HTTP/1.1 520 "), head)
        left = int(dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])[b"content-length"])
        while left:
            left -= len(connection.recv(left))

    def test_status_says_what_was_exceeded(self):
        held = [self.connect(b"hello", port=ECHO_PORT) for _ in range(LIMITS["origin_connections"])]
        for one in held:
            self.assertEqual(one.recv(5), b"hello")
        self.assert_over_budget(self.connect(GET), 503, "origin_connections")
        text = self.world.cli_text("status")
        self.assertRegex(text, rf"(?m)^in use +\d+ of \d+ connections, \d+( of \d+)? MiB$")
        self.assertRegex(text, rf"(?m)^over budget +{self.container.id}: origin_connections={LIMITS['origin_connections']}, 1 times$")


if __name__ == "__main__":
    unittest.main()
