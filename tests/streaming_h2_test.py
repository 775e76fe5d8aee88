"""Streams stream over HTTP/2, on the container's side, on the origin's, and on both; in lock-step, as in streaming_test."""

import functools
import threading
import unittest

from harness import SANITIZED
from streams import DEADLINE_SECONDS, MEBIBYTE, resident_kib
from streams_h2 import Http2World

# What the container speaks, and where to. A name's part says what its origin speaks.
WAYS = [("h2", "h2.test"), ("http/1.1", "h2.test"), ("h2", "handled-h1.test"), ("h2", "handled-h2.test")]
PIECES = 50


class Exchange:
    """A request whose head the origin has read."""

    def __init__(self, world, protocol, host, **request):
        self.client = world.connect(protocol, host)
        self.client.send_request(host, **request)
        self.origin = world.origins[host].next_request(DEADLINE_SECONDS).peer
        self.origin.connection.settimeout(DEADLINE_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in (self.client, self.origin):
            peer.connection.close()

    def answer(self):
        self.origin.send_answer()
        return self.client.read_head()


def over(ways, **request):
    """The test runs once for each way, with an Exchange."""
    def decorate(test):
        @functools.wraps(test)
        def run(self):
            for protocol, host in ways:
                with self.subTest(protocol=protocol, host=host), Exchange(self.world, protocol, host, **request) as exchange:
                    test(self, exchange)
        return run
    return decorate


def piece(number):
    return b"data: event %04d\n\n" % number


class StreamingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = Http2World()
        cls.addClassCleanup(cls.world.close)

    def assert_passes(self, writer, reader):
        for number in range(PIECES):
            writer.send_piece(piece(number))
            self.assertEqual(reader.read_piece(len(piece(number))), piece(number))
        writer.end()
        reader.read_end()

    @over(WAYS, method="GET", end=True)
    def test_events(self, exchange):
        exchange.answer()
        self.assert_passes(exchange.origin, exchange.client)

    @over(WAYS)
    def test_a_request(self, exchange):
        self.assert_passes(exchange.client, exchange.origin)
        exchange.answer()
        exchange.origin.end()
        exchange.client.read_end()

    @over(WAYS)
    def test_both_ways_at_once(self, exchange):
        """Each piece of the answer is the answer to one of the request."""
        exchange.answer()
        for number in range(PIECES):
            exchange.client.send_piece(piece(number))
            self.assertEqual(exchange.origin.read_piece(len(piece(number))), piece(number))
            exchange.origin.send_piece(piece(number))
            self.assertEqual(exchange.client.read_piece(len(piece(number))), piece(number))
        exchange.client.end()
        exchange.origin.read_end()
        exchange.origin.send_piece(b"last")
        exchange.origin.end()
        self.assertEqual(exchange.client.read_piece(4), b"last")
        exchange.client.read_end()

    @over(WAYS)
    def test_a_request_that_ends_before_its_answer_begins(self, exchange):
        exchange.client.end()
        exchange.origin.read_end()
        exchange.answer()
        self.assert_passes(exchange.origin, exchange.client)

    # A stalled reader stops the writer.

    def push(self, writer):
        """Until no more is taken for a second; how much was."""
        writer.connection.settimeout(1)
        taken = 0
        try:
            while taken < 8 * MEBIBYTE:
                writer.send_piece(bytes(16384))
                taken += 16384
        except TimeoutError:
            pass
        writer.connection.settimeout(DEADLINE_SECONDS)
        return taken

    def assert_stops(self, writer, reader):
        proxy = self.world.proxy_pid()
        before = resident_kib(proxy)
        taken = self.push(writer)
        self.assertLess(taken, 8 * MEBIBYTE)
        self.assertLess(resident_kib(proxy) - before, (64 if SANITIZED else 4) * 1024, "KiB")
        rest = threading.Thread(target=writer.send_piece, args=(bytes(16384),))
        rest.start()
        left = taken
        while left:
            left -= len(reader.read_piece(min(left, 16384)))
        rest.join()

    @over([way for way in WAYS if way[0] == "h2" and "h2" in way[1]])
    def test_back_pressure(self, exchange):
        exchange.answer()
        self.assert_stops(exchange.client, exchange.origin)
        self.assert_stops(exchange.origin, exchange.client)


if __name__ == "__main__":
    unittest.main(verbosity=2)
