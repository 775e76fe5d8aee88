"""The explicit proxy: tunnels that do not come about, and such that break off."""

import unittest

from explicit_proxy_test import Client, http2_client
from fakes.raw_origin import RawOrigin
from harness import World

ORIGIN, PLAYED = "203.0.113.10", "203.0.113.40"
NAMES = {"good.test": ORIGIN, "played.test": PLAYED}
CONNECTIONS = 3


class ExplicitProxyEndingsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES, addresses=[ORIGIN, PLAYED], ports=[22], agent_flags=["--limit", f"connections={CONNECTIONS}"])
        cls.addClassCleanup(cls.world.close)
        cls.origin = RawOrigin(cls.world, PLAYED, 80)
        cls.addClassCleanup(cls.origin.close)
        cls.world.apply_class("open")
        cls.number = 0

    def setUp(self):
        type(self).number += 1
        self.client = Client(self.world, "open", f"open-{self.number}")
        connection = self.client.connect()
        self.addCleanup(connection.close)
        self.peer = http2_client(connection)
        self.since = self.world.audit.count()

    def send_connect(self, authority):
        self.peer.send_head((":method", "CONNECT"), (":authority", authority), ("proxy-authorization", self.client.credential()))

    def expect_record(self, **values):
        record = self.world.audit.await_matching(1, self.since, containerId=self.client.id, decision="reject")[0]
        self.assertEqual({name: record.get(name) for name in values}, values)

    def test_a_tunnel_without_room_is_recorded(self):
        # One is the connection itself.
        for _ in range(CONNECTIONS - 1):
            self.send_connect("good.test:22")
            self.assertEqual(self.peer.read_status(), 200)
            self.peer.next_stream()
        self.send_connect("good.test:443")
        self.assertEqual(self.peer.read_status(), 503)
        self.expect_record(scheme="tcp", method="CONNECT", host="good.test", port=443, reason="over_budget", detail="connections", status=503)

    def test_a_client_that_goes_before_its_tunnel_is_recorded(self):
        peer = self.peer
        peer.h2.send_headers(peer.stream, [(":method", "CONNECT"), (":authority", "good.test:443"),
                                           ("proxy-authorization", self.client.credential())])
        peer.refuse(8)
        self.expect_record(scheme="tcp", method="CONNECT", host="good.test", port=443, detail="the container hung up before the answer")

    def test_an_answer_that_breaks_off_in_a_tunnel_is_cut(self):
        for announced, end in ((10, "StreamReset"), (4, "")):
            with self.subTest(announced=announced):
                self.peer.next_stream()
                self.send_connect("played.test:80")
                self.assertEqual(self.peer.read_status(), 200)
                self.peer.send_piece(b"GET / HTTP/1.1\r\nHost: played.test\r\nConnection: close\r\n\r\n")
                origin = self.origin.next_request().peer
                origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nbody" % announced)
                origin.connection.close()
                ended_by = ""
                try:
                    self.peer.read_end()
                except EOFError as error:
                    ended_by = str(error)
                self.assertIn(end, ended_by)
                self.assertEqual(not end, not ended_by)
                self.assertTrue(self.peer.body.endswith(b"body"), self.peer.body)
                self.peer.body = b""


if __name__ == "__main__":
    unittest.main()
