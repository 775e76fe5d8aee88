"""An origin in the test's own process that does nothing by itself: the test reads requests and writes answers as bytes.

    origin = RawOrigin(world, "203.0.113.30", 443, context)
    …a client sends a request…
    request = origin.next_request()
    request.peer.send(b"HTTP/1.1 200 OK\\r\\n…")
"""

import queue
import socket
import ssl
import threading

from netns import in_namespace
from sockets import HttpPeer


class Request:
    """A request whose head has been read from `peer`."""

    def __init__(self, peer):
        self.peer = peer
        self.head = peer.read_head()


class RawOrigin:
    """Listens in the world's internet. With `context`, TLS. Each connection is good for one request, spoken by what
    `speaker` makes of the socket."""

    def __init__(self, world, address, port, context=None, speaker=HttpPeer):
        self.context = context
        self.speaker = speaker
        self.requests = queue.Queue()
        self.listener = in_namespace(f"/run/netns/{world.internet.name}", self.listen, address, port)
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def listen(address, port):
        return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=128)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # Closed.
            threading.Thread(target=self.greet, args=(connection,), daemon=True).start()

    def greet(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.connections.append(connection)
            self.requests.put(Request(self.speaker(connection)))
        except (OSError, EOFError):
            connection.close()  # Dialled, and not used.

    def next_request(self, timeout=60):
        return self.requests.get(timeout=timeout)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()


def server_context(world, *protocols):
    """TLS with the world's origin certificate; `protocols` by ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{world.dir}/origin.pem")
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context
