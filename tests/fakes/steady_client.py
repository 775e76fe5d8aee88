"""A client that makes so many new connections a second, whatever becomes of those before: one request each.

Run inside a container's namespace. Every tenth connection asks for good.test, which the origin is to answer; the others for
evil.test, which policy is to refuse. "report" on stdin is answered with a JSON line on stdout: what was counted since the last
one. The end of stdin is the end.

  started, answered   connections
  refused             [[errno, count]]: could not be made at all
  failed              [[how, count]]: made, but not answered as policy says
  slowest_ms          from the first packet to the whole answer
  longest_gap_ms      between two answers
  allowed             connections for evil.test that were not refused by policy
"""

import collections
import errno
import heapq
import json
import os
import selectors
import socket
import struct
import sys
import time

GIVEN_UP_SECONDS = 20
RESET = struct.pack("ii", 1, 0)


class Connection:
    def __init__(self, address, good):
        self.good = good
        self.received = b""
        self.sent = False
        self.begun = time.monotonic()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # When it has its answer it leaves at once: so many would exhaust the ports while they linger.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        result = self.socket.connect_ex((address, 80))
        if result not in (0, errno.EINPROGRESS):
            raise OSError(result, os.strerror(result))

    def request(self):
        host = b"good.test" if self.good else b"evil.test"
        return b"GET /steady HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"

    def verdict(self):
        """None: as policy says."""
        head, _, body = self.received.partition(b"\r\n\r\n")
        if self.good and head.startswith(b"HTTP/1.1 200 ") and body == b"origin good.test /steady":
            return None
        if not self.good and head.startswith(b"HTTP/1.1 520 ") and b"sallyport-reason: not_allowed" in head:
            return None
        return self.received[:60].decode("latin-1") or "closed without an answer"


class Client:
    def __init__(self, rate, addresses):
        self.rate = rate
        self.addresses = addresses
        self.selector = selectors.DefaultSelector()
        self.deadlines = []
        self.number = 0
        self.reset()

    def reset(self):
        self.started = self.answered = self.allowed = 0
        self.refused = collections.Counter()
        self.failed = collections.Counter()
        self.slowest = self.longest_gap = 0.0
        self.last_answer = time.monotonic()

    def report(self):
        print(json.dumps({
            "started": self.started, "answered": self.answered, "allowed": self.allowed,
            "refused": self.refused.most_common(5), "failed": self.failed.most_common(5),
            "slowest_ms": round(self.slowest * 1000, 1), "longest_gap_ms": round(self.longest_gap * 1000, 1),
            "open": len(self.selector.get_map()) - 1}), flush=True)
        self.reset()

    def start(self):
        self.number += 1
        self.started += 1
        try:
            connection = Connection(self.addresses[self.number % len(self.addresses)], self.number % 10 == 0)
        except OSError as error:
            self.refused[errno.errorcode.get(error.errno, str(error))] += 1
            return
        heapq.heappush(self.deadlines, (connection.begun + GIVEN_UP_SECONDS, self.number, connection))
        self.selector.register(connection.socket, selectors.EVENT_WRITE, connection)

    def end(self, connection, failure):
        now = time.monotonic()
        self.selector.unregister(connection.socket)
        connection.socket.close()
        connection.socket = None
        if failure is not None:
            self.failed[failure] += 1
            if not connection.good and connection.received and b" 520 " not in connection.received[:20]:
                self.allowed += 1
            return
        self.answered += 1
        self.slowest = max(self.slowest, now - connection.begun)
        self.longest_gap = max(self.longest_gap, now - self.last_answer)
        self.last_answer = now

    def go_on(self, connection, _):
        if not connection.sent:
            result = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if result != 0:
                self.refused[errno.errorcode.get(result, str(result))] += 1
                self.selector.unregister(connection.socket)
                connection.socket.close()
                connection.socket = None
                return
            connection.sent = True
            connection.socket.send(connection.request())
            self.selector.modify(connection.socket, selectors.EVENT_READ, connection)
            return
        try:
            piece = connection.socket.recv(4096)
        except OSError as error:
            self.end(connection, connection.verdict() and errno.errorcode.get(error.errno, str(error)))
            return
        if piece:
            connection.received += piece
        else:
            self.end(connection, connection.verdict())

    def run(self):
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        os.set_blocking(sys.stdin.fileno(), False)
        next_start = time.monotonic()
        print("ready", flush=True)
        while True:
            now = time.monotonic()
            # Behind, it catches up; far behind it does not, since that would be a burst.
            next_start = max(next_start, now - 0.2)
            while next_start <= now:
                self.start()
                next_start += 1 / self.rate
            for key, events in self.selector.select(max(0, next_start - time.monotonic())):
                if key.data is not None:
                    self.go_on(key.data, events)
                    continue
                command = os.read(sys.stdin.fileno(), 4096)
                if not command:
                    return
                for _ in range(command.count(b"\n")):
                    self.report()
            while self.deadlines and self.deadlines[0][0] < now:
                connection = heapq.heappop(self.deadlines)[2]
                if connection.socket is not None:
                    self.end(connection, "no answer in time")


if __name__ == "__main__":
    Client(float(sys.argv[1]), sys.argv[2:]).run()
