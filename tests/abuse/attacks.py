"""What root in a container's network namespace does to its network, and a sniffer that sees whether anything came of it."""

import contextlib
import errno
import socket
import struct
import sys
import unittest

from harness import ADDRESSES, World
from netns import in_namespace, is_link_chatter

ORIGIN = "203.0.113.10"
ORIGIN_V6 = "2001:db8::1"
METADATA = ["169.254.169.254", "100.100.100.200", "fd00:ec2::254"]
EVIL = b"GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"
MY_MAC = bytes.fromhex("020000000001")
BROADCAST_MAC = b"\xff" * 6
# Where the control request goes that ends each watch.
CONTROL_ADDRESS = "198.51.100.65"


class Sniffer:
    """Every frame of the host's namespace but of its own `lo`, where handlers are, from now on."""

    def __init__(self, world):
        self.packet, self.earlier = in_namespace(f"/run/netns/{world.host.name}", lambda: (self.open(), tcp_connections()))

    @staticmethod
    def open():
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        packet.setblocking(False)
        return packet

    def frames(self):
        frames = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, source = self.packet.recvfrom(65536)
                if source[0] != "lo" and not is_link_chatter(frame) and not self.ends_earlier(frame):
                    frames.append(frame)
        return frames

    def ends_earlier(self, frame):
        """Whether it is the end of a connection that was there before the watch, which nothing new made: TCP without a byte of data."""
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            return False
        at = 14 + (frame[14] & 15) * 4
        ports = struct.unpack("!HH", frame[at:at + 4])
        ends = frozenset(zip((frame[26:30], frame[30:34]), ports))
        data = 14 + int.from_bytes(frame[16:18], "big") - at - (frame[at + 12] >> 4) * 4
        return ends in self.earlier and data == 0

    def close(self):
        self.packet.close()


def tcp_connections():
    """The two ends, as (IPv4 address, port), of each connection of this thread's network namespace, also of those that are closing."""
    with open("/proc/thread-self/net/tcp", encoding="ascii") as file:
        lines = [line.split()[1:3] for line in file.readlines()[1:]]
    # Addresses are hexadecimal words in the host's byte order.
    return {frozenset((int(address, 16).to_bytes(4, sys.byteorder), int(port, 16)) for address, port in (end.split(":") for end in ends))
            for ends in lines}


@contextlib.contextmanager
def nothing_leaves(test, world, bystander):
    """Watches the host while the block runs. It ends with a request of another container, which must be seen, and nothing else."""
    sniffer = Sniffer(world)
    try:
        yield
        test.assertEqual(bystander.curl(f"http://{CONTROL_ADDRESS}/control").status, 200, "a neighbour notices nothing")
        control = socket.inet_aton(CONTROL_ADDRESS)
        frames = sniffer.frames()
        seen = [frame for frame in frames if control in frame[26:34]]
        test.assertTrue(seen, "the sniffer sees what leaves")
        test.assertEqual([frame[:80].hex() for frame in frames if frame not in seen], [])
    finally:
        sniffer.close()


def inside(container, function, *arguments):
    return in_namespace(f"/proc/{container.holder.pid}/ns/net", function, *arguments)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(protocol, payload, source="192.0.2.2", destination="203.0.113.10", options=b""):
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), 1, 0, 64, protocol, 0, socket.inet_aton(source),
                       socket.inet_aton(destination)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(next_header, payload, source="fd5a::2", destination="2001:db8::1"):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), next_header, 64, socket.inet_pton(socket.AF_INET6, source),
                       socket.inet_pton(socket.AF_INET6, destination)) + payload


def with_checksum(segment, at, protocol, source, destination):
    """The segment with the checksum over its pseudo-header (RFC 9293 section 3.1) put in."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    pseudo = socket.inet_pton(family, source) + socket.inet_pton(family, destination) + struct.pack("!II", len(segment), protocol)
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment)) + segment[at + 2:]


def tcp_syn(port, source="192.0.2.2", destination="203.0.113.10", source_port=4242):
    segment = struct.pack("!HHLLBBHHH", source_port, port, 1, 0, 0x50, 2, 1024, 0, 0)
    return with_checksum(segment, 16, 6, source, destination)


def udp(port, payload, source="192.0.2.2", destination="203.0.113.10", source_port=4242):
    segment = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    return with_checksum(segment, 6, 17, source, destination)


def icmp(kind, code, rest):
    message = struct.pack("!BBH", kind, code, 0) + rest
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def ethernet(kind, payload, destination=BROADCAST_MAC):
    return destination + MY_MAC + struct.pack("!H", kind) + payload


# What a kernel answers to a packet that it will not send.
REFUSALS = {errno.EPERM, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EINVAL, errno.EACCES, errno.ECONNREFUSED,
            errno.EADDRNOTAVAIL, errno.EMSGSIZE, errno.ENOBUFS, errno.ENODEV, errno.ENXIO}


def try_to_send(send, *arguments):
    """Whether the kernel took the packet."""
    try:
        send(*arguments)
        return True
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return False


def send_frames(interface, frames):
    """Puts frames on an interface, past the IP stack; how many the kernel took."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
        packet.bind((interface, 0))
        return sum(try_to_send(packet.send, frame) for frame in frames)


def send_packets(packets, destination="203.0.113.10"):
    """IP packets with heads of the sender's own making (IPPROTO_RAW); how many the kernel took."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        if family == socket.AF_INET6:
            raw.setsockopt(socket.IPPROTO_IPV6, 36, 1)  # IPV6_HDRINCL
        return sum(try_to_send(raw.sendto, packet, (destination, 0)) for packet in packets)


def send_datagram(address, port, payload, interface=None, family=None):
    family = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        if family == socket.AF_INET:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if interface:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        return try_to_send(sender.sendto, payload, (address, port))


class AttackTest(unittest.TestCase):
    """Two containers to attack from: policy lets `open` reach the internet, and `closed` good.test alone."""

    @classmethod
    def setUpClass(cls):
        # What answers there is reachable by the host: only policy keeps containers from it.
        cls.world = World({"good.test": ORIGIN, "evil.test": ORIGIN}, addresses=[*ADDRESSES, *METADATA])
        cls.addClassCleanup(cls.world.close)
        cls.world.api.call("ApplyClass", **{"class": {"name": "open"}})
        cls.world.api.call("ApplyClass", **{"class": {"name": "closed", "enableInternet": False, "allowedHosts": {"hosts": ["good.test"]}}})
        cls.bystander = cls.world.container("open", "bystander")
        cls.open = cls.world.container("open", "open-1")
        cls.closed = cls.world.container("closed", "closed-1")

    def fresh(self, class_name, name):
        """For attacks that leave the network inside in ruins."""
        container = self.world.container(class_name, name)
        self.addCleanup(container.close)
        return container

    def nothing_leaves(self):
        return nothing_leaves(self, self.world, self.bystander)

    def assert_denied(self, answer):
        self.assertIn(b" 520 ", answer)
        self.assertIn(b"not_allowed", answer)

    def assert_reset(self, container, address, port):
        try:
            answer = container.raw(address, port, b"hello")
        except ConnectionResetError:
            answer = None  # Before connect(2) had returned.
        self.assertIsNone(answer)
