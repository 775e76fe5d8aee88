"""Streams stream: a piece of a body passes before the next is there, both ways at once; a reader that stalls stops the writer.

In lock-step: each side waits for what the other has sent, so that anything held back ends in a time-out, and no clock is read.
"""

import functools
import socket
import ssl
import threading
import unittest

from harness import SANITIZED
from streams import DEADLINE_SECONDS, MEBIBYTE, RELAYS, WAYS, Peak, StreamingWorld, allowed_kib, resident_kib

PIECES = 50
CHUNKED = "Transfer-Encoding: chunked\r\n"


def piece(number, text="event"):
    return b"data: %s %04d\n\n" % (text.encode(), number)


def answer(framing, content_type="text/event-stream"):
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n{framing}\r\n".encode()


class Exchange:
    """One way's client, and the origin that it reaches."""

    def __init__(self, world, scheme, host):
        self.origin_side = world.origins[scheme, host]
        self.host = host
        self.client = world.connect(scheme, host)
        self.origin = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in (self.client, self.origin):
            if peer is not None:
                peer.connection.close()

    def ask(self, method="GET", fields=""):
        """Sends a head from the client; the origin has read it when this returns."""
        self.client.send(f"{method} /stream HTTP/1.1\r\nHost: {self.host}\r\n{fields}\r\n".encode())
        request = self.origin_side.next_request(DEADLINE_SECONDS)
        self.origin = request.peer
        self.origin.connection.settimeout(DEADLINE_SECONDS)
        return request

    def answer(self, *head):
        """Sends a head from the origin; the client has read it when this returns."""
        self.origin.send(answer(*head))
        line, headers = self.client.read_head()
        # To one that has closed its half: whether it is still there (RFC 9110 section 15.2 has it skip this).
        return self.client.read_head() if " 100 " in line else (line, headers)


def over(ways):
    """The test runs once for each way, with an Exchange."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for scheme, host in ways:
                with self.subTest(scheme=scheme, host=host), Exchange(self.world, scheme, host) as exchange:
                    test(self, exchange)
        return run
    return decorate


class StreamingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = StreamingWorld()
        cls.addClassCleanup(cls.world.close)

    # Each piece passes before the next is there.

    @over(WAYS + RELAYS)
    def test_events(self, exchange):
        exchange.ask(fields="Accept: text/event-stream\r\n")
        line, headers = exchange.answer(CHUNKED)
        self.assertIn(" 200 ", line)
        self.assertEqual(headers["content-type"], "text/event-stream")
        for number in range(PIECES):
            exchange.origin.send_piece(piece(number))
            self.assertEqual(exchange.client.read_piece(len(piece(number))), piece(number))
        exchange.origin.end()
        exchange.client.read_end()

    @over(WAYS)
    def test_an_answer_of_known_length(self, exchange):
        exchange.ask()
        exchange.answer(f"Content-Length: {PIECES * len(piece(0))}\r\n")
        for number in range(PIECES):
            exchange.origin.send(piece(number))
            self.assertEqual(exchange.client.take(len(piece(number))), piece(number))

    @over(WAYS)
    def test_an_answer_that_ends_with_its_connection(self, exchange):
        exchange.ask()
        exchange.answer("")
        for number in range(PIECES):
            exchange.origin.send(piece(number))
            self.assertEqual(exchange.client.read_piece(len(piece(number))), piece(number))
        if isinstance(exchange.origin.connection, ssl.SSLSocket):
            exchange.origin.connection.unwrap()  # An end without close_notify is none: the answer may have been cut.
        else:
            exchange.origin.connection.shutdown(socket.SHUT_RDWR)
        exchange.client.read_end()

    @over(WAYS)
    def test_a_chunk_in_parts(self, exchange):
        """What has come of a chunk passes, before its end is there."""
        exchange.ask()
        exchange.answer(CHUNKED)
        exchange.origin.send(b"%x\r\n" % (PIECES * len(piece(0))))
        for number in range(PIECES):
            exchange.origin.send(piece(number))
            self.assertEqual(exchange.client.read_piece(len(piece(number))), piece(number))

    @over(WAYS)
    def test_a_chunked_request(self, exchange):
        request = exchange.ask("POST", CHUNKED)
        self.assertEqual(request.head[1]["transfer-encoding"], "chunked")
        for number in range(PIECES):
            exchange.client.send_piece(piece(number))
            self.assertEqual(exchange.origin.read_piece(len(piece(number))), piece(number))
        exchange.client.end()
        exchange.origin.read_end()
        self.assertIn(" 200 ", exchange.answer("Content-Length: 0\r\n")[0])

    @over(WAYS)
    def test_a_request_of_known_length(self, exchange):
        exchange.ask("PUT", f"Content-Length: {PIECES * len(piece(0))}\r\n")
        for number in range(PIECES):
            exchange.client.send(piece(number))
            self.assertEqual(exchange.origin.take(len(piece(number))), piece(number))
        self.assertIn(" 200 ", exchange.answer("Content-Length: 0\r\n")[0])

    @over(WAYS + RELAYS)
    def test_both_ways_at_once(self, exchange):
        """Each piece of the answer is the answer to one of the request."""
        exchange.ask("POST", CHUNKED)
        exchange.answer(CHUNKED)
        for number in range(PIECES):
            question, reply = piece(number, "question"), piece(number, "reply")
            exchange.client.send_piece(question)
            self.assertEqual(exchange.origin.read_piece(len(question)), question)
            exchange.origin.send_piece(reply)
            self.assertEqual(exchange.client.read_piece(len(reply)), reply)
        exchange.client.end()
        exchange.origin.read_end()
        exchange.origin.send_piece(b"last")
        exchange.origin.end()
        self.assertEqual(exchange.client.read_piece(4), b"last")
        exchange.client.read_end()

    # One side ends before the other.

    @over(WAYS)
    def test_an_answer_before_the_requests_end(self, exchange):
        exchange.ask("POST", CHUNKED)
        exchange.client.send_piece(b"more will come")
        self.assertEqual(exchange.origin.read_piece(14), b"more will come")
        exchange.answer("Content-Length: 6\r\n")
        exchange.origin.send(b"enough")
        self.assertEqual(exchange.client.take(6), b"enough")

    @over(WAYS + RELAYS)
    def test_a_client_that_closes_its_half_after_the_request(self, exchange):
        exchange.ask()
        # The socket's own, which says nothing in TLS.
        socket.socket.shutdown(exchange.client.connection, socket.SHUT_WR)
        exchange.answer(CHUNKED)
        for number in range(PIECES):
            exchange.origin.send_piece(piece(number))
            self.assertEqual(exchange.client.read_piece(len(piece(number))), piece(number))
        exchange.origin.end()
        exchange.client.read_end()

    @over([("tcp", "relayed.test")])
    def test_an_origin_that_closes_its_half(self, exchange):
        exchange.ask("POST", CHUNKED)
        exchange.answer("")
        exchange.origin.connection.shutdown(socket.SHUT_WR)
        self.assertEqual(exchange.client.read_rest(), b"")
        for number in range(PIECES):
            exchange.client.send_piece(piece(number))
            self.assertEqual(exchange.origin.read_piece(len(piece(number))), piece(number))
        exchange.client.connection.shutdown(socket.SHUT_WR)
        self.assertEqual(exchange.origin.read_rest(), b"")


class BackPressureTest(unittest.TestCase):
    """Sockets hold little here, so that what is taken from a writer is in the proxy, or would be."""

    BLOCK = bytes(16384)  # One record of TLS.
    SIZE = 8 * MEBIBYTE
    # As long nothing is taken: the writer is stopped. A machine that is too slow to tell makes the test easier.
    STALL_SECONDS = 1

    @classmethod
    def setUpClass(cls):
        cls.world = world = StreamingWorld()
        cls.addClassCleanup(world.close)
        for command in (world.host.command(), world.internet.command(), world.client.command()):
            world.limit_buffers(command)

    def push(self, connection):
        """Until no more is taken; how much was."""
        connection.settimeout(self.STALL_SECONDS)
        taken = 0
        try:
            while taken < self.SIZE:
                taken += connection.send(self.BLOCK)
        except TimeoutError:
            pass
        connection.settimeout(DEADLINE_SECONDS)
        return taken

    def assert_stops(self, writer, reader):
        """`reader` does not read: little is taken from `writer`, and the proxy does not grow. Then it does, and gets all."""
        proxy = self.world.proxy_pid()
        before = resident_kib(proxy)
        taken = self.push(writer.connection)
        self.assertLess(taken, MEBIBYTE)
        self.assertLess(resident_kib(proxy) - before, (64 if SANITIZED else 4) * 1024, "KiB")
        rest = threading.Thread(target=writer.send, args=(bytes(self.SIZE - taken),))
        rest.start()
        left = self.SIZE
        while left:
            left -= len(reader.take(min(left, 65536)))
        rest.join()

    @over(WAYS + RELAYS)
    def test_download(self, exchange):
        exchange.ask()
        exchange.answer(f"Content-Length: {self.SIZE}\r\n")
        self.assert_stops(exchange.origin, exchange.client)

    @over(WAYS + RELAYS)
    def test_upload(self, exchange):
        exchange.ask("POST", f"Content-Length: {self.SIZE}\r\n")
        self.assert_stops(exchange.client, exchange.origin)
        self.assertIn(" 200 ", exchange.answer("Content-Length: 0\r\n")[0])


class VolumeTest(unittest.TestCase):
    """Much passes in constant memory."""

    SIZE = (64 << 20) if SANITIZED else (1 << 30)
    BLOCK = bytes(MEBIBYTE)

    @classmethod
    def setUpClass(cls):
        cls.world = StreamingWorld()
        cls.addClassCleanup(cls.world.close)

    def assert_passes(self, writer, reader):
        def send():
            for _ in range(self.SIZE // MEBIBYTE):
                writer.send(self.BLOCK)

        sender = threading.Thread(target=send)
        buffer = bytearray(MEBIBYTE)
        with Peak(self.world.proxy_pid()) as peak:
            sender.start()
            left = self.SIZE - len(reader.take(1)) - len(reader.received)
            reader.received = b""
            while left:
                count = reader.connection.recv_into(buffer, min(left, len(buffer)))
                self.assertGreater(count, 0, f"it ended with {left} bytes missing")
                left -= count
            sender.join()
        self.assertLess(peak.growth(), allowed_kib(8), "KiB")

    @over(WAYS[:2])
    def test_download(self, exchange):
        exchange.ask()
        exchange.answer(f"Content-Length: {self.SIZE}\r\n", "application/octet-stream")
        self.assert_passes(exchange.origin, exchange.client)

    @over(WAYS[:2])
    def test_upload(self, exchange):
        exchange.ask("PUT", f"Content-Length: {self.SIZE}\r\n")
        self.assert_passes(exchange.client, exchange.origin)
        self.assertIn(" 200 ", exchange.answer("Content-Length: 0\r\n")[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
