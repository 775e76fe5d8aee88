"""What the tests of streams share: origins that the test itself plays, a container, and the proxy's memory."""

import socket
import ssl
import threading

from fakes.raw_origin import RawOrigin, server_context
from harness import SANITIZED, World
from sockets import HttpPeer

NAMES = {"egress.test": "203.0.113.30", "handled.test": "203.0.113.31", "relayed.test": "203.0.113.32"}
PORTS = {"http": 80, "https": 443, "tcp": 5432}
# How a body passes: decided for egress, or given back by a handler that forwards; plain, or decrypted.
WAYS = [(scheme, host) for host in ("egress.test", "handled.test") for scheme in ("http", "https")]
RELAYS = [("tcp", "relayed.test"), ("https", "relayed.test")]
DEADLINE_SECONDS = 60
MEBIBYTE = 1 << 20


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


class StreamingWorld(World):
    """A RawOrigin for each scheme and name, and one container whose HTTPS is decrypted, but for relayed.test."""

    def __init__(self):
        super().__init__(NAMES, addresses=list(NAMES.values()), ports=[22])
        self.origins = {}
        for scheme, host in WAYS + RELAYS:
            context = server_context(self) if scheme == "https" else None
            self.origins[scheme, host] = RawOrigin(self, NAMES[host], PORTS[scheme], context)
            self.closers.callback(self.origins[scheme, host].close)
        self.start_handler("inject")
        # With a list there is something to decide inside, for every name.
        self.apply_class("streams", intercept_https=True, denied_hosts=["nowhere.test"],
                         outbound_by_host=[["handled.test", "inject"]], tls_passthrough_hosts=["relayed.test"])
        self.client = self.container("streams")

    def connect(self, scheme, host, client=None):
        client = client or self.client
        connection = client.connect(NAMES[host], PORTS[scheme], DEADLINE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if scheme == "https":
            context = ssl.create_default_context(cafile=client.bundle)
            connection = context.wrap_socket(connection, server_hostname=host)
        return HttpPeer(connection)


def allowed_kib(mebibytes):
    """To grow by. A sanitizer keeps what was freed (tools/sanitizers), and puts something around each piece."""
    return (256 if SANITIZED else mebibytes) * 1024


class Peak:
    """The most that the proxy has grown by while this was entered, in KiB."""

    def __init__(self, pid):
        self.pid = pid
        self.done = threading.Event()
        self.before = self.most = resident_kib(pid)
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, resident_kib(self.pid))

    def growth(self):
        return self.most - self.before
