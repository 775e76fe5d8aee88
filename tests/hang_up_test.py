"""A client of HTTP/1.1 that goes while its request waits: what is done for it ends at once."""

import queue
import socket
import subprocess
import threading
import unittest
import unittest.mock

from harness import eventually
from streams import DEADLINE_SECONDS, WAYS, StreamingWorld


class HeldHandshake:
    """In the place of an origin's TLS context and of its speaker: takes its time, and then what comes first."""

    def __init__(self, context):
        self.context = context
        self.begun, self.going_on = threading.Event(), threading.Event()
        self.received = queue.Queue()

    def wrap_socket(self, connection, server_side):
        self.begun.set()
        self.going_on.wait(DEADLINE_SECONDS)
        return self.context.wrap_socket(connection, server_side=server_side)

    def speak(self, connection):
        try:
            self.received.put(connection.recv(65536))
        except ConnectionResetError:
            self.received.put(b"")
        raise EOFError


class HangUpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = StreamingWorld()
        cls.addClassCleanup(cls.world.close)

    def ask(self, scheme, host, more=b"", container=None):
        """A request that waits for its origin: the client, and the origin's side."""
        client = self.world.connect(scheme, host, container)
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

    def attach(self, container_id):
        container = self.world.container("streams", container_id)
        self.addCleanup(container.close)
        return container

    def test_a_container_that_is_detached(self):
        for scheme, host in WAYS:
            with self.subTest(scheme=scheme, host=host):
                container = self.attach(f"leaving-{scheme}-{host}")
                client, origin = self.ask(scheme, host, container=container)
                self.world.cli("container", "detach", container.id)
                self.assert_given_up(origin)
                client.connection.close()

    def test_a_container_that_is_detached_while_its_origin_is_connected_to(self):
        container = self.attach("leaving-early")
        # Which the next request goes by: this origin speaks HTTP/1.1.
        client, first = self.ask("https", "egress.test", container=container)
        first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.assertIn(" 200 ", client.read_head()[0])
        origin = self.world.origins["https", "egress.test"]
        held = HeldHandshake(origin.context)
        with unittest.mock.patch.object(origin, "context", held), unittest.mock.patch.object(origin, "speaker", held.speak):
            client.send(b"GET /slow HTTP/1.1\r\nHost: egress.test\r\n\r\n")
            self.assertTrue(held.begun.wait(DEADLINE_SECONDS))
            self.world.cli("container", "detach", container.id)
            held.going_on.set()
            self.assertEqual(held.received.get(timeout=DEADLINE_SECONDS), b"")
        client.connection.close()

    def test_the_record_says_so(self):
        before = self.world.audit.count()
        client, origin = self.ask("http", "egress.test")
        client.connection.close()
        self.assert_given_up(origin)
        record = eventually(lambda: [line for line in self.world.audit.since(before) if line.get("path") == "/slow"], what="a record")[0]
        self.assertIn("hung up", record["detail"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
