"""A client of HTTP/1.1 that goes while its request waits: what is done for it ends at once."""

import socket
import subprocess
import unittest

from harness import eventually
from streams import DEADLINE_SECONDS, WAYS, StreamingWorld


class HangUpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = StreamingWorld()
        cls.addClassCleanup(cls.world.close)

    def ask(self, scheme, host, more=b""):
        """A request that waits for its origin: the client, and the origin's side."""
        client = self.world.connect(scheme, host)
        client.send(f"GET /slow HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() + more)
        origin = self.world.origins[scheme, host].next_request(DEADLINE_SECONDS).peer
        origin.connection.settimeout(DEADLINE_SECONDS)
        return client, origin

    def assert_given_up(self, origin):
        """By the proxy, of itself: nothing has been sent to it."""
        try:
            self.assertEqual(origin.read_rest(), b"")
        except ConnectionResetError:
            pass
        origin.connection.close()

    def test_a_client_that_closes(self):
        for scheme, host in WAYS:
            with self.subTest(scheme=scheme, host=host):
                client, origin = self.ask(scheme, host)
                client.connection.close()
                self.assert_given_up(origin)

    def test_a_client_that_resets(self):
        for scheme, host in WAYS:
            with self.subTest(scheme=scheme, host=host):
                client, origin = self.ask(scheme, host)
                client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.connection.close()
                self.assert_given_up(origin)

    def test_a_client_that_has_sent_its_next_request_already(self):
        for scheme, host in WAYS:
            with self.subTest(scheme=scheme, host=host):
                client, origin = self.ask(scheme, host, more=f"GET /next HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                client.connection.close()
                self.assert_given_up(origin)

    def test_requests_in_a_row_are_all_answered(self):
        for scheme, host in WAYS:
            with self.subTest(scheme=scheme, host=host):
                client, origin = self.ask(scheme, host, more=f"GET /next HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na")
                self.assertIn(" 200 ", client.read_head()[0])
                self.assertEqual(client.take(1), b"a")
                request = self.world.origins[scheme, host].next_request(DEADLINE_SECONDS)
                self.assertTrue(request.head[0].startswith("GET /next "))
                request.peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nb")
                self.assertIn(" 200 ", client.read_head()[0])
                self.assertEqual(client.take(1), b"b")
                client.connection.close()

    def test_a_killed_client(self):
        command = self.world.client.command("curl", "--silent", "--resolve", "egress.test:80:203.0.113.30", "http://egress.test/slow")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
            origin = self.world.origins["http", "egress.test"].next_request(DEADLINE_SECONDS).peer
            client.kill()
        self.assert_given_up(origin)

    def test_the_record_says_so(self):
        before = self.world.audit.count()
        client, origin = self.ask("http", "egress.test")
        client.connection.close()
        self.assert_given_up(origin)
        record = eventually(lambda: [line for line in self.world.audit.since(before) if line.get("path") == "/slow"], what="a record")[0]
        self.assertIn("hung up", record["detail"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
