"""Budgets of connections: how fast they come and shake hands, how many are being made to origins, what one over HTTP/2 may hold."""

import socket
import time
import unittest

from budgets import ECHO_PORT, GET, GOOD, BudgetCase
from h2_frames import DATA, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, Peer, frame, request
from harness import read_response
from metrics_test import AGENT, Scrape
from netns import in_namespace
from slow_clients import client_hello
from sockets import read_all

FULL = "203.0.113.20"
DENIED = b"GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n"
MAX_CONCURRENT_STREAMS = 3
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11


class FullOrigin:
    """Listens, and has no room for one more connection: who dials it hears nothing. Until `close`, which has all of them refused."""

    def __init__(self, world, address, port):
        self.listener, self.waiting = in_namespace(f"/run/netns/{world.internet.name}", self.fill, address, port)

    @staticmethod
    def fill(address, port):
        listener = socket.create_server((address, port), backlog=0)
        waiting = []
        while True:
            one = socket.socket()
            waiting.append(one)
            one.settimeout(0.5)
            try:
                one.connect((address, port))
            except TimeoutError:
                return listener, waiting

    def close(self):
        for one in (self.listener, *self.waiting):
            one.close()


class ConnectionBudgetTest(BudgetCase):
    NAMES = {"good.test": GOOD, "full.test": FULL}
    LIMITS = {"connections_per_second": 20, "handshakes_per_second": 2, "handshake_timeout_ms": 2000, "dials": 12, "h2_streams": 8, "h2_resets": 6}

    @classmethod
    def setUpClass(cls):
        cls.start_world(more_flags=["--metrics", AGENT], addresses=[GOOD, FULL])
        # With a list there is something to decide inside of TLS.
        cls.world.apply_class("open", intercept_https=True, denied_hosts=["nowhere.test"])
        cls.other = cls.world.container("open", "other")

    def test_connections_that_come_too_fast_wait(self):
        rate = self.LIMITS["connections_per_second"]
        count = 3 * rate
        begin = time.monotonic()
        opened = [self.connect(DENIED) for _ in range(count)]
        self.await_record(decision="delay", reason="over_budget", detail="connections_per_second")
        self.assert_served(self.other)
        for one in opened:
            one.settimeout(30)
            self.assertEqual(read_response(one)[0], 520)
        # Each of the two workers may take one that the other has taken.
        self.assertGreaterEqual(time.monotonic() - begin, (count - rate - 2) / rate)
        used, exceeded = self.limit("connections_per_second")
        self.assertEqual(used, 0)
        self.assertGreaterEqual(exceeded, 1)
        self.assert_other_untouched("connections_per_second")
        # After a second there are so many at once again, and what the two took beyond.
        time.sleep(1 + 2 / rate)
        for one in [self.connect(DENIED) for _ in range(rate)]:
            self.assertEqual(read_response(one)[0], 520)
        self.assertEqual(self.limit("connections_per_second")[1], exceeded)

    def test_handshakes_that_come_too_fast_wait_and_are_then_reset(self):
        rate, longest = self.LIMITS["handshakes_per_second"], self.LIMITS["handshake_timeout_ms"] / 2000
        begin = time.monotonic()
        opened = [self.connect(client_hello("good.test"), port=443) for _ in range(10)]
        answered = [self.is_answered(one) for one in opened]
        seconds = time.monotonic() - begin
        self.assertGreaterEqual(answered.count(True), rate + rate * longest)
        self.assertLessEqual(answered.count(True), rate + rate * (seconds + longest) + 1)
        refused = answered.count(False)
        self.assertGreaterEqual(refused, 1)
        # Those behind the first two had to wait.
        self.assertEqual(self.limit("handshakes_per_second")[1], len(opened) - rate)
        records = self.world.audit.await_matching(refused, containerId=self.container.id, decision="reject", reason="over_budget")
        self.assertEqual({record["detail"] for record in records}, {"good.test: handshakes_per_second"})
        self.assertEqual(len(records), refused)
        self.assertEqual(self.other.curl("https://good.test/", address=GOOD).status, 200)
        self.assert_other_untouched("handshakes_per_second")
        # Nothing is left of it but a wait.
        self.assertEqual(self.container.curl("https://good.test/", address=GOOD).status, 200)

    @staticmethod
    def is_answered(connection):
        try:
            return connection.recv(1) == b"\x16"  # A handshake record.
        except ConnectionResetError:
            return False

    def test_dials_beyond_are_503_and_resets(self):
        full = FullOrigin(self.world, FULL, 81)
        self.addCleanup(full.close)
        held = [self.connect(b"hello", port=81, address=FULL) for _ in range(self.LIMITS["dials"])]
        self.await_used("dials", self.LIMITS["dials"])
        self.assert_over_budget(self.connect(GET), 503, "dials")
        with self.assertRaises(ConnectionResetError):
            read_all(self.connect(b"hello", port=ECHO_PORT))
        self.assertEqual(self.limit("dials")[1], 2)
        self.assertEqual(Scrape(self.world).value("sallyport_limit_exceeded_total", limit="dials"), 2)
        self.assert_served(self.other)
        self.assert_other_untouched("dials")
        full.close()
        for one in held:
            with self.assertRaises(ConnectionResetError):
                read_all(one)
        self.await_used("dials", 0)
        self.assert_served(self.container)

    def test_origin_connections_that_are_there_are_no_dials(self):
        for _ in range(2 * self.LIMITS["dials"]):
            self.assertEqual(self.connect(b"hello", port=ECHO_PORT).recv(5), b"hello")

    def peer(self, container=None):
        return Peer(self.connect(container=container))

    def post(self, stream):
        return request(stream, "/digest", method="POST", flags=0)

    def test_streams_beyond_are_refused(self):
        most = self.LIMITS["h2_streams"]
        peer = self.peer()
        settings = peer.until(SETTINGS)[3]
        self.assertIn((MAX_CONCURRENT_STREAMS, most), [(int.from_bytes(settings[i:i + 2], "big"), int.from_bytes(settings[i + 2:i + 6], "big"))
                                                       for i in range(0, len(settings), 6)])
        streams = [1 + 2 * number for number in range(most)]
        peer.send(b"".join(self.post(stream) for stream in streams))
        self.await_used("requests", most)
        self.assertEqual(self.limit("h2_streams")[1], 0)
        peer.send(self.post(streams[-1] + 2))
        self.assertEqual(peer.until(RST_STREAM)[2:], (streams[-1] + 2, REFUSED_STREAM.to_bytes(4, "big")))
        self.assertEqual((self.limit("h2_streams")[1], self.limit("h2_streams", self.other)[1]), (1, 0))
        # Another connection has its own.
        self.assert_served(self.container)
        other = self.peer(self.other)
        other.send(b"".join(self.post(stream) for stream in streams))
        self.await_used("requests", most, self.other)
        # The others go on, and one that ends makes room.
        peer.send(frame(DATA, END_STREAM, 1, b"hello"))
        self.assertTrue(peer.until(DATA)[3].startswith(b"5 "))
        self.await_used("requests", most - 1)
        peer.send(request(streams[-1] + 4, "/more"))
        self.assertEqual(peer.until(DATA)[2:], (streams[-1] + 4, b"origin good.test /more"))

    def reset_streams(self, peer, first, count):
        """The number of the next stream."""
        for stream in range(first, first + 2 * count, 2):
            peer.send(self.post(stream) + frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big")))
        return first + 2 * count

    def test_resets_beyond_end_the_connection(self):
        peer = self.peer()
        # Fewer than there may be streams: none is refused, which would be a reset as well.
        stream = self.reset_streams(peer, 1, self.LIMITS["h2_resets"])
        peer.send(request(stream, "/served"))
        self.assertEqual(peer.until(DATA)[2:], (stream, b"origin good.test /served"))
        self.assertEqual(self.limit("h2_resets")[1], 0)
        # Which is good for two more.
        stream = self.reset_streams(peer, stream + 2, 3)
        goaway = peer.until(GOAWAY)
        self.assertEqual(goaway[3][4:8], ENHANCE_YOUR_CALM.to_bytes(4, "big"))
        self.assertIsNone(peer.until(HEADERS))
        self.assertEqual((self.limit("h2_resets")[1], self.limit("h2_resets", self.other)[1]), (1, 0))
        self.await_used("connections", 0)
        # Neither another connection of its own nor another container's ends.
        for container in (self.container, self.other):
            peer = self.peer(container)
            peer.send(request(1, "/served"))
            self.assertEqual(peer.until(DATA)[2:], (1, b"origin good.test /served"))


if __name__ == "__main__":
    unittest.main()
