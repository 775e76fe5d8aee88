"""Relays as a container sees them: raw TCP or TLS that is not decrypted, to an origin that echoes."""

import select
import ssl
import time

# What is sent: no two places of it look alike, so that lost, doubled or mixed-up bytes show. It does not begin as HTTP does.
PATTERN = b"\x00" + b"".join(b"%08x" % number for number in range(1, 1 << 15))
PIECE = 16 * 1024


class Relay:
    """One connection; sends PATTERN again and again, and checks what is echoed."""

    def __init__(self, connection):
        self.connection = connection
        self.connection.setblocking(False)
        self.sent = 0
        self.received = 0

    def fileno(self):
        return self.connection.fileno()

    def send(self):
        """Sends a piece, or as much of it as there is room for; 0: there is none."""
        begin = self.sent % len(PATTERN)
        try:
            count = self.connection.send(PATTERN[begin:begin + PIECE])
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        self.sent += count
        return count

    def receive(self):
        """Takes what has come; 0: nothing has."""
        try:
            data = self.connection.recv(PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        if not data:
            raise ConnectionError("the relay ended")
        begin = self.received % len(PATTERN)
        expected = (PATTERN + PATTERN)[begin:begin + len(data)]
        if data != expected:
            raise ValueError(f"bytes from {self.received} on are not those that were sent")
        self.received += len(data)
        return len(data)

    def settle(self, seconds=30):
        """Receives until everything that was sent has come back."""
        deadline = time.monotonic() + seconds
        while self.received < self.sent:
            if not self.receive():
                select.select([self], [], [], 1)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.sent - self.received} of {self.sent} bytes are missing")

    def exchange(self):
        """Sends a piece and has it back."""
        while not self.send():
            select.select([], [self], [], 1)
        self.settle()

    def fill(self):
        """Sends until nothing moves any more in either direction, since nobody reads here."""
        while self.send() or select.select([], [self], [], 0.2)[1]:
            pass

    def close(self):
        self.connection.close()


def closed_by(relays, deadline):
    """Which of the relays have been reset by `deadline`; unread bytes do not hide it."""
    poll = select.poll()
    by_number = {relay.fileno(): relay for relay in relays}
    for number in by_number:
        poll.register(number, select.POLLERR | select.POLLHUP)
    closed = {}
    while len(closed) < len(by_number):
        for number, _ in poll.poll(max(0, (deadline - time.monotonic()) * 1000)):
            closed[number] = by_number[number]
            poll.unregister(number)
        if time.monotonic() >= deadline:
            break
    return list(closed.values())
