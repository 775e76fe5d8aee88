"""WebSockets between versions of HTTP: by Upgrade on the one side and by extended CONNECT (RFC 8441) on the other."""

import base64
import contextlib
import hashlib
import os
import unittest

from h2.exceptions import ProtocolError

from harness import eventually
from streams import DEADLINE_SECONDS
from streams_h2 import Http2World

KEY = base64.b64encode(bytes(range(16))).decode()
FRAMES = 100
EARLY = b"\x82\x89\0\0\0\0too early"
SILENT_SECONDS = 0.2


def accept_of(key):
    """RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()


def frame(payload, mask=b""):
    """A binary one, as a client sends it if there is a mask."""
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([0x82, len(payload) | (0x80 if mask else 0)]) + mask + payload


class Http1WebSocket:
    """Over an HttpPeer."""

    def __init__(self, peer):
        self.peer = peer

    def ask(self, host):
        self.peer.send(f"GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: chat\r\n\r\n".encode())

    def agree(self, request):
        self.peer.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       f"Sec-WebSocket-Accept: {accept_of(request.head[1]['sec-websocket-key'])}\r\n\r\n".encode())

    def refuse(self, body):
        self.peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def read_agreement(self):
        line, headers = self.peer.read_head()
        return int(line.split()[1]), headers.get("sec-websocket-accept")

    def send(self, data):
        self.peer.send(data)

    def take(self, count):
        return self.peer.take(count)

    def has_come(self):
        return self.peer.received

    def end(self):
        self.peer.connection.close()

    def read_end(self):
        return self.peer.read_rest()


class Http2WebSocket:
    """Over an Http2Peer."""

    def __init__(self, peer):
        self.peer = peer

    def ask(self, host):
        self.peer.send_websocket_request(host)

    def agree(self, request):
        self.peer.send_head((":status", "200"))

    def refuse(self, body):
        self.peer.send_head((":status", "403"))
        self.send(body)
        self.peer.end()

    def read_agreement(self):
        return int(self.peer.read_head()[":status"]), None

    def send(self, data):
        self.peer.send_piece(data)

    def take(self, count):
        return self.peer.read_piece(count)

    def has_come(self):
        return self.peer.body

    def end(self):
        with contextlib.suppress(ProtocolError):  # It may have been reset meanwhile.
            self.peer.end()

    def read_end(self):
        try:
            self.peer.read_end()
        except EOFError:
            pass  # The stream was reset, as a WebSocket's connection may be.
        return self.peer.body


def websocket_over(peer):
    return Http2WebSocket(peer) if hasattr(peer, "h2") else Http1WebSocket(peer)


class WebSocketTest(unittest.TestCase):
    def setUp(self):
        self.world = Http2World()
        self.addCleanup(self.world.close)

    def connect(self, protocol, host):
        client = self.world.connect(protocol, host)
        self.addCleanup(client.connection.close)
        return client

    def use_http2(self, host):
        """An exchange, so that there is an HTTP/2 connection to the origin, which is known to take WebSockets. The origin's side."""
        client = self.connect("http/1.1", host)
        client.send_request(host, end=True)
        origin = self.world.origins[host].next_request(DEADLINE_SECONDS).peer
        origin.connection.settimeout(DEADLINE_SECONDS)
        origin.send_answer()
        origin.end()
        self.assertEqual(client.read_status(), 200)
        client.read_end()
        return origin

    def assert_carries(self, client, origin):
        for number in range(FRAMES):
            message = b"message %03d" % number
            client.send(frame(message, mask=os.urandom(4)))
            head = origin.take(6)
            self.assertEqual(head[:2], bytes([0x82, 0x80 | len(message)]))
            body = origin.take(len(message))
            self.assertEqual(bytes(byte ^ head[2 + i % 4] for i, byte in enumerate(body)), message)
            origin.send(frame(message))
            self.assertEqual(client.take(2 + len(message)), frame(message))
        client.end()
        self.assertEqual(origin.read_end(), b"")
        origin.end()

    def receive(self, host, origin_peer):
        """The origin's side of the request for a WebSocket, and the request if it came over HTTP/1."""
        if origin_peer is not None:
            head = origin_peer.read_head()
            self.assertEqual((head[":method"], head[":protocol"], head[":path"]), ("CONNECT", "websocket", "/chat"))
            self.assertFalse({"upgrade", "connection", "sec-websocket-key"} & head.keys())
            return Http2WebSocket(origin_peer), None
        request = self.world.origins[host].next_request(DEADLINE_SECONDS)
        request.peer.connection.settimeout(DEADLINE_SECONDS)
        self.assertEqual(request.head[0], "GET /chat HTTP/1.1")
        self.assertEqual(request.head[1]["upgrade"], "websocket")
        return Http1WebSocket(request.peer), request

    def run_between(self, protocol, host, origin_peer):
        client = websocket_over(self.connect(protocol, host))
        client.ask(host)
        origin, request = self.receive(host, origin_peer)
        origin.agree(request)
        status, accept = client.read_agreement()
        self.assertEqual((status, accept), (101, accept_of(KEY)) if protocol == "http/1.1" else (200, None))
        self.assert_carries(client, origin)
        record = eventually(lambda: [line for line in self.world.audit.all() if line.get("status") == 101 and line["host"] == host],
                            what="a record of the WebSocket")[-1]
        self.assertGreater(min(int(record["bytesSent"]), int(record["bytesReceived"])), FRAMES * 10)

    def test_from_http1_to_http2(self):
        self.run_between("http/1.1", "h2.test", self.use_http2("h2.test"))

    def test_from_http1_to_http2_by_a_handler(self):
        self.run_between("http/1.1", "handled-h2.test", self.use_http2("handled-h2.test"))

    def test_from_http2_to_http1_by_a_handler(self):
        self.run_between("h2", "handled-h1.test", None)

    def test_from_http2_to_http2(self):
        self.run_between("h2", "h2.test", self.use_http2("h2.test"))

    def send_early(self, host, origin_peer, with_head):
        """Bytes of the client's before the origin's answer: they stay in the proxy. Client, origin, and the origin's request over HTTP/1."""
        client = Http2WebSocket(self.connect("h2", host))
        with client.peer.gathered() if with_head else contextlib.nullcontext():
            client.ask(host)
            client.send(EARLY)
        client.peer.await_read()
        origin, request = self.receive(host, origin_peer)
        self.assert_nothing_comes(origin)
        return client, origin, request

    def assert_nothing_comes(self, origin):
        origin.peer.connection.settimeout(SILENT_SECONDS)
        with self.assertRaises(TimeoutError):
            while True:
                origin.peer.fill()
                self.assertEqual(origin.has_come(), b"")
        origin.peer.connection.settimeout(DEADLINE_SECONDS)

    def assert_early_waits(self, host, origin_peer):
        for with_head in (True, False):
            with self.subTest(with_head=with_head):
                client, origin, request = self.send_early(host, origin_peer, with_head)
                origin.agree(request)
                self.assertEqual(client.read_agreement(), (200, None))
                self.assertEqual(origin.take(len(EARLY)), EARLY)
                self.assert_carries(client, origin)

    def test_data_before_the_answer_waits_for_it_to_http1(self):
        self.assert_early_waits("handled-h1.test", None)

    def test_data_before_the_answer_waits_for_it_to_http2(self):
        self.assert_early_waits("h2.test", self.use_http2("h2.test"))

    def assert_refused(self, host, origin_peer, with_head):
        """The client has the origin's own answer, and its connection serves what comes next. Client and origin."""
        client, origin, _ = self.send_early(host, origin_peer, with_head)
        origin.refuse(b"not for you")
        head = client.peer.read_head()
        self.assertEqual(head[":status"], "403")
        self.assertNotIn("sallyport-reason", head)
        self.assertEqual(client.take(len(b"not for you")), b"not for you")
        client.peer.read_end()
        client.peer.next_stream()
        client.peer.send_request(host, end=True)
        return client, origin

    def test_data_before_a_refusal_never_leaves_to_http1(self):
        for with_head in (True, False):
            with self.subTest(with_head=with_head):
                client, origin = self.assert_refused("handled-h1.test", None, with_head)
                self.assertEqual(origin.read_end(), b"")
                again = self.world.origins["handled-h1.test"].next_request(DEADLINE_SECONDS).peer
                again.send_answer()
                again.end()
                self.assertEqual(client.peer.read_status(), 200)

    def test_data_before_a_refusal_never_leaves_to_http2(self):
        origin_peer = self.use_http2("h2.test")
        for with_head in (True, False):
            with self.subTest(with_head=with_head):
                client, origin = self.assert_refused("h2.test", origin_peer, with_head)
                # What the client has not ended is given up.
                with self.assertRaisesRegex(EOFError, "StreamReset"):
                    origin.peer.read_head()
                self.assertEqual(origin.peer.read_head()[":path"], "/stream")
                self.assertEqual(origin.has_come(), b"")
                origin.peer.send_answer()
                origin.peer.end()
                self.assertEqual(client.peer.read_status(), 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
