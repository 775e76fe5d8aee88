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

    def read_agreement(self):
        line, headers = self.peer.read_head()
        return int(line.split()[1]), headers.get("sec-websocket-accept")

    def send(self, data):
        self.peer.send(data)

    def take(self, count):
        return self.peer.take(count)

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

    def read_agreement(self):
        return int(self.peer.read_head()[":status"]), None

    def send(self, data):
        self.peer.send_piece(data)

    def take(self, count):
        return self.peer.read_piece(count)

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

    def run_between(self, protocol, host, origin_peer):
        peer = self.connect(protocol, host)
        client = websocket_over(peer)
        client.ask(host)
        if origin_peer is not None:
            head = origin_peer.read_head()
            self.assertEqual((head[":method"], head[":protocol"], head[":path"]), ("CONNECT", "websocket", "/chat"))
            self.assertFalse({"upgrade", "connection", "sec-websocket-key"} & head.keys())
            origin = Http2WebSocket(origin_peer)
            origin.agree(None)
        else:
            request = self.world.origins[host].next_request(DEADLINE_SECONDS)
            request.peer.connection.settimeout(DEADLINE_SECONDS)
            self.assertEqual(request.head[0], "GET /chat HTTP/1.1")
            self.assertEqual(request.head[1]["upgrade"], "websocket")
            origin = Http1WebSocket(request.peer)
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
