"""`OPTIONS *`, which is about a server and none of its resources, between versions of HTTP (RFC 9110 section 9.3.7)."""

import unittest

from streams import DEADLINE_SECONDS
from streams_h2 import Http2World

# The client's version, and the origin's name, which tells its version. By ALPN alone a client is offered what the origin speaks; a handler
# that forwards comes between for the other.
TRIPS = [("http/1.1", "h1.test"), ("http/1.1", "h2.test"), ("h2", "handled-h1.test"), ("h2", "h2.test")]


class OptionsTest(unittest.TestCase):
    def setUp(self):
        self.world = Http2World()
        self.addCleanup(self.world.close)

    def ask(self, protocol, host):
        """The client, having asked."""
        client = self.world.connect(protocol, host)
        self.addCleanup(client.connection.close)
        if protocol == "h2":
            client.send_head((":method", "OPTIONS"), (":scheme", "https"), (":authority", host), (":path", "*"), end=True)
        else:
            client.send(f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return client

    def test_each_version_has_its_form(self):
        for protocol, host in TRIPS:
            with self.subTest(protocol=protocol, host=host):
                # No connection to an origin is left from before.
                self.world.use_another_container()
                client = self.ask(protocol, host)
                request = self.world.origins[host].next_request(DEADLINE_SECONDS)
                if "h2" in host:
                    self.assertEqual([(name, value) for name, value in request.head.items() if name.startswith(":")], [
                        (":method", "OPTIONS"), (":scheme", "https"), (":authority", host), (":path", "*")])
                    self.assertTrue(request.peer.ended)
                else:
                    self.assertEqual(request.head[0], "OPTIONS * HTTP/1.1")
                    self.assertEqual(request.head[1]["host"], host)
                    self.assertFalse({"content-length", "transfer-encoding"} & request.head[1].keys())
                request.peer.send_answer(204 if "h2" in host else 200)
                request.peer.end()
                self.assertEqual(client.read_status(), 204 if "h2" in host else 200)
                record = self.world.audit.await_matching(containerId=self.world.client.id, host=host)[-1]
                self.assertEqual((record["method"], record["path"]), ("OPTIONS", "*"))

    def test_no_other_method_is_about_the_server(self):
        for protocol, host in TRIPS[::3]:
            with self.subTest(protocol=protocol, host=host):
                client = self.world.connect(protocol, host)
                self.addCleanup(client.connection.close)
                if protocol == "h2":
                    client.send_head((":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "*"), end=True)
                    # Malformed (RFC 9113 section 8.3.1): PROTOCOL_ERROR.
                    with self.assertRaisesRegex(EOFError, "StreamReset .*error_code:1,"):
                        client.read_status()
                else:
                    client.send(f"GET * HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    self.assertEqual(client.read_status(), 400)
                self.assertTrue(self.world.origins[host].requests.empty())


if __name__ == "__main__":
    unittest.main(verbosity=2)
