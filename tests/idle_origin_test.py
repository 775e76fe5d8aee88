"""Kept connections to an origin of HTTP/1.1: used again, and not once the origin has ended them or said something unasked."""

import unittest

from streams import DEADLINE_SECONDS, StreamingWorld

HOST = "egress.test"
REQUESTS = {
    "GET": f"GET /again HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(),
    # May not be sent twice.
    "POST": f"POST /again HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\nonce".encode(),
}
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class IdleOriginTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = StreamingWorld()
        cls.addClassCleanup(cls.world.close)

    def answer(self, client, peer, body):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.assertEqual(client.read_head()[0], "HTTP/1.1 200 OK")
        self.assertEqual(client.take(len(body)), body)

    def each(self):
        """A client whose origin keeps its connection, the origin's side of it, and what is asked next."""
        for scheme in ("http", "https"):
            for method, request in REQUESTS.items():
                with self.subTest(scheme=scheme, method=method):
                    client = self.world.connect(scheme, HOST)
                    client.send(f"GET /first HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                    peer = self.next_peer(scheme)
                    self.answer(client, peer, b"first")
                    yield scheme, client, peer, request
                    client.connection.close()
                    peer.connection.close()

    def next_peer(self, scheme):
        peer = self.world.origins[scheme, HOST].next_request(DEADLINE_SECONDS).peer
        peer.connection.settimeout(DEADLINE_SECONDS)
        return peer

    def test_it_is_used_again(self):
        for _, client, peer, request in self.each():
            client.send(request)
            self.assertIn("/again", peer.read_head()[0])
            self.answer(client, peer, b"second")

    def test_one_that_has_ended_is_not(self):
        for scheme, client, peer, request in self.each():
            peer.connection.close()
            client.send(request)
            other = self.next_peer(scheme)
            self.answer(client, other, b"second")
            other.connection.close()

    def test_what_an_origin_says_unasked_is_no_answer(self):
        for scheme, client, peer, request in self.each():
            peer.send(TOO_LATE)
            client.send(request)
            other = self.next_peer(scheme)
            self.answer(client, other, b"second")
            other.connection.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
