"""Requests that an origin has certainly not processed are sent once more, and only those (RFC 9113 sections 8.7 and 7)."""

import unittest

from streams import DEADLINE_SECONDS
from streams_h2 import Http2World

REFUSED_STREAM = 7
INTERNAL_ERROR = 2
HTTP_1_1_REQUIRED = 13
CLIENTS = ("http/1.1", "h2")
WAYS = {"RST_STREAM": lambda peer: peer.refuse(REFUSED_STREAM), "GOAWAY": lambda peer: peer.go_away()}


class ResendTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = Http2World()
        cls.addClassCleanup(cls.world.close)

    def ask(self, protocol, host, **request):
        self.world.use_another_container()
        return self.ask_again(protocol, host, **request)

    def ask_again(self, protocol, host, **request):
        client = self.world.connect(protocol, host)
        self.addCleanup(client.connection.close)
        client.send_request(host, **request)
        return client

    def next_peer(self, host):
        peer = self.world.origins[host].next_request(DEADLINE_SECONDS).peer
        peer.connection.settimeout(DEADLINE_SECONDS)
        return peer

    def assert_answered(self, client, peer):
        peer.send_answer(201)
        peer.end()
        self.assertEqual(client.read_status(), 201)
        client.read_end()

    def test_a_post_without_body(self):
        for host in ("h2.test", "handled-h2.test"):
            for protocol in CLIENTS:
                for name, refuse in WAYS.items():
                    with self.subTest(host=host, protocol=protocol, refuse=name):
                        client = self.ask(protocol, host, end=True)
                        refuse(self.next_peer(host))
                        self.assert_answered(client, self.next_peer(host))

    def test_a_body_that_nobody_has_taken(self):
        for protocol in CLIENTS:
            for fields in ((), (("expect", "100-continue"),)):
                with self.subTest(protocol=protocol, fields=fields):
                    client = self.ask(protocol, "h2.test", fields=fields)
                    self.next_peer("h2.test").refuse(REFUSED_STREAM)
                    peer = self.next_peer("h2.test")
                    if fields:
                        peer.send_continue()
                        self.assertEqual(client.read_status(), 100)
                    client.send_piece(b"late")
                    client.end()
                    self.assertEqual(peer.read_piece(4), b"late")
                    peer.read_end()
                    self.assert_answered(client, peer)

    def assert_fails(self, client):
        self.assertEqual(client.read_status(), 502)
        self.assertTrue(self.world.origins["h2.test"].requests.empty())

    def test_a_body_that_was_taken(self):
        for protocol in CLIENTS:
            with self.subTest(protocol=protocol):
                client = self.ask(protocol, "h2.test")
                client.send_piece(b"taken")
                peer = self.next_peer("h2.test")
                self.assertEqual(peer.read_piece(5), b"taken")
                peer.refuse(REFUSED_STREAM)
                self.assert_fails(client)

    def test_what_may_have_been_processed(self):
        client = self.ask("h2", "h2.test", end=True)
        self.next_peer("h2.test").refuse(INTERNAL_ERROR)
        self.assert_fails(client)

    def test_an_origin_that_refuses_again_and_again(self):
        client = self.ask("h2", "h2.test", end=True)
        for _ in range(3):
            self.next_peer("h2.test").refuse(REFUSED_STREAM)
        self.assert_fails(client)

    def test_an_origin_that_wants_http1(self):
        client = self.ask("http/1.1", "h2.test", end=True)
        peer = self.next_peer("h2.test")
        self.assertEqual(peer.connection.selected_alpn_protocol(), "h2")
        peer.refuse(HTTP_1_1_REQUIRED)
        # Then, and from then on, whatever it would choose.
        for _ in range(2):
            peer = self.next_peer("h2.test")
            self.assertEqual(peer.connection.selected_alpn_protocol(), "http/1.1")
            self.assert_answered(client, peer)
            client = self.ask_again("http/1.1", "h2.test", end=True)
        self.assert_answered(client, self.next_peer("h2.test"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
