"""Network namespaces: making them, working inside them, and watching the wire between two."""

import ctypes
import os
import socket
import subprocess

from sockets import connect_socket

CLONE_NEWNET = 0x40000000


def run(*command, check=True, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


class Namespace:
    """A named network namespace."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)

    def ip(self, *arguments):
        run("ip", "-n", self.name, *arguments)

    def command(self, *command):
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *command]

    def close(self):
        run("ip", "netns", "del", self.name, check=False)


class UnnamedNamespace:
    """A network namespace that lives while a descriptor of this process holds it."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as home:
            if libc.unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            try:
                self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                libc.setns(home.fileno(), CLONE_NEWNET)
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"

    def connect(self, address, port, timeout):
        return in_namespace(self.path, connect_socket, address, port, timeout)

    def close(self):
        os.close(self.fd)


def in_namespace(path, function, *arguments):
    """Calls a function with this thread inside another network namespace, and comes back."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(path, "rb") as away:
        if libc.setns(away.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
        try:
            return function(*arguments)
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def is_link_chatter(frame):
    """ARP, and the ICMPv6 by which the kernel of the wire's own two ends finds neighbours and joins groups (MLD)."""
    if frame[12:14] == b"\x08\x06":
        return True
    if frame[12:14] != b"\x86\xdd":
        return False
    return frame[20] == 58 or (frame[20] == 0 and frame[54] == 58)


class Wire:
    """What passes between the host and the internet from now on."""

    def __init__(self, world):
        self.packet = in_namespace(f"/run/netns/{world.internet.name}", self.open)

    @staticmethod
    def open():
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        packet.bind(("down0", 0))
        packet.setblocking(False)
        return packet

    def frames(self):
        frames = []
        while True:
            try:
                frame = self.packet.recv(65536)
            except BlockingIOError:
                return frames
            if not is_link_chatter(frame):
                frames.append(frame[:64].hex())

    def close(self):
        self.packet.close()
