"""HTTP/2 frame by frame, for tests of what a client library would not send."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 7, 8
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def head(stream, fields, flags=END_STREAM):
    """A literal without indexing for each field (RFC 7541 section 6.2.2)."""
    block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields)
    return frame(HEADERS, flags | END_HEADERS, stream, block)


def request(stream, path, host="good.test", method="GET", flags=END_STREAM, scheme="http", fields=()):
    return head(stream, [(":method", method), (":scheme", scheme), (":path", path), (":authority", host), *fields], flags)


class Peer:
    """One end of a connection that speaks raw frames."""

    def __init__(self, connection, window=65535):
        self.connection = connection
        self.unread = b""
        settings = (4).to_bytes(2, "big") + window.to_bytes(4, "big")
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        self.connection.sendall(data)

    def fill(self, size):
        while len(self.unread) < size:
            data = self.connection.recv(65536)
            if not data:
                return False
            self.unread += data
        return True

    def read(self):
        """(type, flags, stream, payload), or None at the end."""
        if not self.fill(9):
            return None
        size = int.from_bytes(self.unread[:3], "big")
        kind, flags, stream = self.unread[3], self.unread[4], int.from_bytes(self.unread[5:9], "big")
        if not self.fill(9 + size):
            return None
        payload, self.unread = self.unread[9:9 + size], self.unread[9 + size:]
        return kind, flags, stream, payload

    def until(self, wanted):
        """The next frame of that type; everything before it is passed over."""
        while True:
            received = self.read()
            if received is None or received[0] == wanted:
                return received
