"""Clients of one container that hold what they can: heads and bodies a byte at a time, handshakes without an end, answers unread."""

import contextlib
import selectors
import socket
import ssl
import threading
import time

from netns import in_namespace

KINDS = ("head", "body", "handshake", "read")


def client_hello(name):
    """The first flight of a TLS client that says nothing more."""
    outgoing = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def opening(kind, host, path):
    """What a client of that kind sends at once."""
    get = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n".encode()
    return {"head": get, "body": b"POST" + get[3:] + b"Content-Length: 100000000\r\n\r\n", "handshake": client_hello(host.split(":")[0]),
            "read": get + b"\r\n"}[kind]


class SlowClients:
    """`count` connections, of the four kinds in turn, until `close`. One that ends is opened anew.

    `path` is asked for by all; its answer should not fit into the buffers on the way.
    """

    def __init__(self, container, address, host, path, count, dribble_seconds=1.0, http_port=80, tls_port=443):
        self.container = container
        self.address = address
        self.ports = {kind: tls_port if kind == "handshake" else http_port for kind in KINDS}
        self.openings = {kind: opening(kind, host, path) for kind in KINDS}
        self.dribble_seconds = dribble_seconds
        self.selector = selectors.DefaultSelector()
        self.unread = []
        self.ended = {kind: 0 for kind in KINDS}
        self.to_open = [KINDS[i % len(KINDS)] for i in range(count)]
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def close(self):
        self.stopping.set()
        self.thread.join()

    def run(self):
        dribbled = time.monotonic()
        while not self.stopping.is_set():
            in_namespace(f"/proc/{self.container.holder.pid}/ns/net", self.open_some)
            for key, _ in self.selector.select(timeout=0.05):
                self.on_event(key)
            if time.monotonic() - dribbled >= self.dribble_seconds:
                dribbled = time.monotonic()
                self.dribble()
        for connection in [key.fileobj for key in self.selector.get_map().values()] + self.unread:
            connection.close()
        self.selector.close()

    def open_some(self):
        for _ in range(min(100, len(self.to_open))):
            kind = self.to_open.pop()
            connection = socket.socket()
            connection.setblocking(False)
            # So small that its window is soon zero.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect_ex((self.address, self.ports[kind]))
            self.selector.register(connection, selectors.EVENT_WRITE, kind)

    def on_event(self, key):
        if key.events & selectors.EVENT_WRITE:
            with contextlib.suppress(OSError):
                key.fileobj.send(self.openings[key.data])
            if key.data == "read":
                self.selector.unregister(key.fileobj)
                self.unread.append(key.fileobj)
            else:
                self.selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            return
        try:
            open_still = bool(key.fileobj.recv(4096)) and key.data == "handshake"
        except BlockingIOError:
            open_still = True
        except OSError:
            open_still = False
        if not open_still:
            self.end(key.fileobj, key.data)

    def dribble(self):
        for key in list(self.selector.get_map().values()):
            if key.data in ("head", "body") and key.events == selectors.EVENT_READ:
                try:
                    key.fileobj.send(b"x")
                except BlockingIOError:
                    pass
                except OSError:
                    self.end(key.fileobj, key.data)
        for connection in [one for one in self.unread if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]:
            self.unread.remove(connection)
            self.end(connection, "read")

    def end(self, connection, kind):
        self.ended[kind] += 1
        with contextlib.suppress(KeyError):
            self.selector.unregister(connection)
        connection.close()
        self.to_open.append(kind)
