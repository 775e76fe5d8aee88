"""Parts die, and the container is hostile: nothing leaves that policy does not permit."""

import json
import os
import signal
import socket
import struct
import threading
import unittest

from harness import Wire, World, eventually, in_namespace, read_response
from slow_clients import client_hello
from sockets import read_all

NAMES = {"good.test": "203.0.113.10", "evil.test": "203.0.113.10", "api.test": "203.0.113.10"}


class FailureTest(unittest.TestCase):
    def setUp(self):
        self.world = World(NAMES)
        self.addCleanup(self.world.close)
        self.world.start_handler("inject", "respond")
        self.world.apply_class("listed", enable_internet=False, intercept_https=True,
                               allowed_hosts=["good.test", "api.test"], outbound_by_host=[["api.test", "inject"]])
        self.container = self.world.container("listed")

    def assert_enforced(self):
        self.assertEqual(self.container.curl("http://good.test/", address="203.0.113.10").status, 200)
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").reason, "not_allowed")

    def test_proxy_killed(self):
        before = self.world.origin_contacts()
        pid = self.world.proxy_pid()
        os.kill(pid, signal.SIGKILL)
        # Connections made meanwhile wait in the agent's sockets, and are served by the next proxy.
        self.assertEqual(self.container.curl("http://evil.test/", address="203.0.113.10").reason, "not_allowed")
        self.assertEqual(self.world.origin_contacts(), before)
        self.assertNotEqual(self.world.proxy_pid(), pid)
        self.assert_enforced()

    def test_agent_killed(self):
        self.world.agent.kill()
        before = self.world.origin_contacts()
        response = self.container.curl("http://good.test/", "--max-time", "3", address="203.0.113.10")
        self.assertNotEqual(response.exit, 0)
        self.assertEqual(self.world.origin_contacts(), before)

    def test_the_proxy_has_no_privileges(self):
        pid = self.world.proxy_pid()
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[capabilities], 16), 0, capabilities)
        self.assertNotIn("0", status["Uid"].split())
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(os.listdir(f"/proc/{pid}/root/"), [])

    def test_hostile_root(self):
        """Everything that root in the namespace may do to its network; nothing arrives anywhere else."""
        wire = Wire(self.world)
        self.addCleanup(wire.close)
        before = self.world.origin_contacts()
        pid = self.container.holder.pid
        self.container.run("nft", "flush", "ruleset")
        for command in (["ip", "route", "flush", "table", "local"], ["ip", "link", "add", "dummy7", "type", "veth", "peer", "name", "dummy8"],
                        ["ip", "link", "set", "dummy7", "up"],
                        ["ip", "link", "set", "dummy8", "up"], ["ip", "route", "add", "default", "dev", "dummy7"]):
            self.container.run(*command)
        in_namespace(f"/proc/{pid}/ns/net", self.raw_packets)
        for address in ("203.0.113.10", "2001:db8::1", "169.254.169.254", "192.0.2.65"):
            for port in (80, 443, 22):
                try:
                    self.container.connect(address, port, timeout=0.3).close()
                except OSError:
                    pass
        self.container.run("curl", "--silent", "--max-time", "2", "--connect-to", "::203.0.113.10:", "http://good.test/")
        self.container.run("ping", "-c", "1", "-W", "1", "203.0.113.10")
        self.assertEqual(self.world.origin_contacts(), before)
        self.assertEqual(wire.frames(), [])
        # Its neighbours notice nothing.
        other = self.world.container("listed", "neighbour")
        self.addCleanup(other.close)
        self.assertEqual(other.curl("http://good.test/", address="203.0.113.10").status, 200)

    def raw_packets(self):
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, socket.inet_aton("192.0.2.2"),
                             socket.inet_aton("203.0.113.10"))
        syn = struct.pack("!HHLLBBHHH", 4242, 80, 1, 0, 0x50, 2, 1024, 0, 0)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for _ in range(3):
                try:
                    raw.sendto(header + syn, ("203.0.113.10", 0))
                except OSError:
                    pass
        for interface in ("lo", "dummy7"):
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packet:
                try:
                    packet.bind((interface, 0x0800))
                    packet.send(b"\xff" * 12 + b"\x08\x00" + header + syn)
                except OSError:
                    pass
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as marked:
            marked.settimeout(0.3)
            try:
                marked.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)
                marked.connect(("203.0.113.10", 80))
            except OSError:
                pass

    def test_detached_container_is_cut_off(self):
        with self.container.connect("203.0.113.10", 80) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 200)
            self.world.cli("container", "detach", self.container.id)
            with self.assertRaises((ConnectionResetError, IndexError, OSError)):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
                read_response(connection)
        with self.assertRaises(OSError):
            self.container.connect("203.0.113.10", 80, timeout=1)
        self.assertFalse(os.path.exists(f"{self.world.dir}/run/containers/{self.container.id}"))

    def test_a_detached_containers_handshake_is_cut_off(self):
        with self.container.connect("203.0.113.10", 443) as connection:
            connection.sendall(client_hello("good.test"))
            self.assertTrue(connection.recv(65536), "the proxy's first flight")
            self.world.cli("container", "detach", self.container.id)
            # Far sooner than handshake_timeout_ms.
            connection.settimeout(4)
            with self.assertRaises(ConnectionResetError):
                read_all(connection)

    def test_container_that_ends_is_detached(self):
        self.container.close()
        eventually(lambda: not self.world.cli("container", "get", self.container.id)["container"].get("host"), 5,
                   "detached when its process ended")

    def test_origin_with_an_unknown_certificate(self):
        self.world.close()
        self.world = World(NAMES, trusted_origin=False)
        self.addCleanup(self.world.close)
        self.world.apply_class("listed", intercept_https=True, allowed_hosts=["good.test"])
        container = self.world.container("listed")
        response = container.curl("https://good.test/", address="203.0.113.10")
        self.assertEqual((response.status, response.reason), (502, "origin_certificate"), response)
        self.assertEqual(self.world.origin_requests(), [])

    def test_secret_is_nowhere_in_the_container(self):
        response = self.container.curl("https://api.test/headers", address="203.0.113.10")
        self.assertEqual(json.loads(response.body)["authorization"], "Bearer of-the-handler")
        secret = "of-the-handler"
        with open(self.world.audit.path, encoding="utf-8") as file:
            self.assertNotIn(secret, file.read())
        for program in (self.world.agent, self.world.control_plane):
            self.assertNotIn(secret, program.text())


if __name__ == "__main__":
    unittest.main(verbosity=2)
