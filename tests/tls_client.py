"""A TLS client whose bytes a test sends as it likes, and ClientHellos that no library makes."""

import io
import ssl
import struct

from sockets import read_response


class ByHand:
    """Python's TLS on a socket, a flight at a time: what is to be sent is `outgoing`, to be changed before `send`."""

    def __init__(self, connection, context, name):
        self.connection = connection
        self.incoming, self.outgoing_bio = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing_bio, server_hostname=name)

    def step(self, function, *arguments):
        """Calls a function of the TLS object that wants no more bytes, or None."""
        try:
            return function(*arguments)
        except ssl.SSLWantReadError:
            return None

    def hello(self):
        self.step(self.tls.do_handshake)
        return self.outgoing_bio.read()

    def receive(self):
        data = self.connection.recv(65536)
        if not data:
            raise EOFError("the peer ended the connection")
        self.incoming.write(data)

    def finish(self):
        """The rest of the handshake, after the ClientHello was sent."""
        done = False
        while not done:
            self.receive()
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            self.connection.sendall(self.outgoing_bio.read())

    def request(self, payload):
        """The body of the HTTP/1.1 response, which has a content-length."""
        self.tls.write(payload)
        self.connection.sendall(self.outgoing_bio.read())
        return read_response(self)[2]

    def makefile(self, _mode):
        """As a socket's, to read_response."""
        return io.BufferedReader(Decrypted(self))


class Decrypted(io.RawIOBase):
    """What a client by hand decrypts."""

    def __init__(self, client):
        self.client = client

    def readable(self):
        return True

    def readinto(self, buffer):
        while (data := self.client.step(self.client.tls.read, len(buffer))) is None:
            self.client.receive()
        buffer[:len(data)] = data
        return len(data)


def records(message, size, version=0x0301):
    """A handshake message in records of `size` bytes."""
    pieces = [message[i:i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16" + struct.pack("!HH", version, len(piece)) + piece for piece in pieces)


def extension(kind, data):
    return struct.pack("!HH", kind, len(data)) + data


def server_name(name):
    entry = b"\0" + struct.pack("!H", len(name)) + name
    return extension(0, struct.pack("!H", len(entry)) + entry)


GROUPS = extension(10, b"\0\4\0\x1d\0\x17")
SIGNATURES = extension(13, b"\0\4\4\3\x08\4")
TLS13 = extension(43, b"\2\3\4")
# RFC 7748 section 6.1: Alice's public key.
KEY_SHARE = extension(51, b"\0\x24\0\x1d\0\x20" + bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"))


def client_hello(extensions, version=0x0303, ciphers=b"\x13\1\xc0\x2b"):
    """A ClientHello message (RFC 8446 section 4.1.2)."""
    body = (struct.pack("!H", version) + b"r" * 32 + b"\x20" + b"s" * 32 + struct.pack("!H", len(ciphers)) + ciphers + b"\1\0" +
            struct.pack("!H", len(extensions)) + extensions)
    return b"\1" + struct.pack("!I", len(body))[1:] + body


def alert_of(answer):
    """The description of the alert that `answer` is, or what it is instead."""
    if answer is not None and len(answer) >= 7 and answer[:1] == b"\x15":
        return answer[6]
    return answer[:16] if answer else answer
