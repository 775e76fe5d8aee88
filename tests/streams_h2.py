"""What the tests of streams over HTTP/2 share: origins of either version that the test itself plays, and a container."""

import ssl

from fakes.http2_peer import Http2Peer
from fakes.raw_origin import RawOrigin, server_context
from harness import World
from sockets import HttpPeer
from streams import DEADLINE_SECONDS

NAMES = {"h1.test": "203.0.113.30", "h2.test": "203.0.113.31", "handled-h1.test": "203.0.113.32",
         "handled-h2.test": "203.0.113.33"}


class Http1Peer(HttpPeer):
    """With the steps of Http2Peer."""

    def send_request(self, host, method="POST", end=False, fields=()):
        lines = [f"Host: {host}", *(() if end else ("Transfer-Encoding: chunked",)), *(f"{name}: {value}" for name, value in fields)]
        self.send("\r\n".join([f"{method} /stream HTTP/1.1", *lines, "", ""]).encode())

    def send_answer(self, status=200):
        self.send(f"HTTP/1.1 {status} OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n".encode())

    def send_continue(self):
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read_status(self):
        return int(self.read_head()[0].split()[1])


def speak(connection, client):
    return Http2Peer(connection, client) if connection.selected_alpn_protocol() == "h2" else Http1Peer(connection)


class Http2World(World):
    """With one worker: each has its own connections to origins."""

    def __init__(self):
        super().__init__(NAMES, addresses=list(NAMES.values()), ports=[22], workers=1)
        self.origins = {}
        for host, address in NAMES.items():
            context = server_context(self, *(["h2", "http/1.1"] if "h2" in host else ["http/1.1"]))
            self.origins[host] = RawOrigin(self, address, 443, context, lambda connection: speak(connection, client=False))
            self.closers.callback(self.origins[host].close)
        self.start_handler("inject")
        self.apply_class("streams", intercept_https=True, denied_hosts=["nowhere.test"],
                         outbound_by_host=[["handled-h1.test", "inject"], ["handled-h2.test", "inject"]])
        self.containers = 1
        self.client = self.container("streams")

    def use_another_container(self):
        """Which shares no connection to an origin with those before."""
        self.client.close()
        self.containers += 1
        self.client = self.container("streams", f"streams-{self.containers}")

    def connect(self, protocol, host):
        context = ssl.create_default_context(cafile=self.client.bundle)
        context.set_alpn_protocols([protocol])
        connection = context.wrap_socket(self.client.connect(NAMES[host], 443, DEADLINE_SECONDS), server_hostname=host)
        if connection.selected_alpn_protocol() != protocol:
            raise AssertionError(f"{host}: not {protocol}, but {connection.selected_alpn_protocol()}")
        return speak(connection, client=True)
