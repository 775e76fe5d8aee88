"""The explicit proxy: tunnels that do not come about."""

import unittest

from explicit_proxy_test import Client, http2_client
from harness import World

ORIGIN = "203.0.113.10"
NAMES = {"good.test": ORIGIN}
CONNECTIONS = 3


class ExplicitProxyEndingsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(NAMES, addresses=[ORIGIN], ports=[22], agent_flags=["--limit", f"connections={CONNECTIONS}"])
        cls.addClassCleanup(cls.world.close)
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


if __name__ == "__main__":
    unittest.main()
