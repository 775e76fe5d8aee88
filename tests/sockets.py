"""Plain sockets, and HTTP as bytes, for tests that must see what a client library would hide."""

import socket


def connect_socket(address, port, timeout):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect((address, port))
    except OSError:
        connection.close()
        raise
    return connection


def read_all(connection):
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def read_chunks(file):
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    while file.readline().strip():  # Trailers.
        pass
    return body


class CutShort(ConnectionResetError):
    """Behind a response's head."""


def read_response(connection):
    """One HTTP/1.1 response with a content-length or in chunks, from a kept connection: status, headers, body."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, value = line.decode("latin-1").split(":", 1)
        headers[name.lower()] = value.strip()
    try:
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, read_chunks(file).decode()
        return status, headers, file.read(int(headers.get("content-length", 0))).decode()
    except ConnectionResetError as error:
        raise CutShort(f"a response with status {status}") from error


class HttpPeer:
    """One side of an HTTP/1.1 connection, a step at a time; nothing is read ahead of what was asked for but bytes that came
    together with it. EOFError where the other side ends too early."""

    def __init__(self, connection):
        self.connection = connection
        self.received = b""
        self.body = b""

    def send(self, data):
        self.connection.sendall(data)

    def send_piece(self, data):
        """A chunk."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        """Of a chunked body."""
        self.send(b"0\r\n\r\n")

    def fill(self):
        piece = self.connection.recv(65536)
        if not piece:
            raise EOFError("the other side has ended")
        self.received += piece

    def take(self, count):
        while len(self.received) < count:
            self.fill()
        taken, self.received = self.received[:count], self.received[count:]
        return taken

    def read_line(self):
        while b"\r\n" not in self.received:
            self.fill()
        line, self.received = self.received.split(b"\r\n", 1)
        return line.decode("latin-1")

    def read_head(self):
        """First line, and the headers by their names in lower case."""
        line, headers = self.read_line(), {}
        while field := self.read_line():
            name, value = field.split(":", 1)
            headers[name.lower()] = value.strip()
        return line, headers

    def read_chunk(self):
        """The data of one chunk; nothing at the body's end, whose trailers are passed over."""
        size = int(self.read_line().split(";")[0], 16)
        if size == 0:
            while self.read_line():
                pass
            return b""
        data = self.take(size)
        self.read_line()
        return data

    def read_piece(self, count):
        """So many bytes of a chunked body, whatever its chunks."""
        while len(self.body) < count:
            chunk = self.read_chunk()
            if not chunk:
                raise EOFError("the body has ended")
            self.body += chunk
        taken, self.body = self.body[:count], self.body[count:]
        return taken

    def read_end(self):
        """Of a chunked body."""
        if self.body or self.read_chunk():
            raise ValueError("more of a body than was expected")

    def read_rest(self):
        """Until the other side ends."""
        rest, self.received = self.received + read_all(self.connection), b""
        return rest
