"""What a container cannot reach, whatever it does to its network: the host, metadata, neighbours (NB, ID, IP of the abuse list)."""

import os
import socket
import struct
import time
import unittest

from attacks import CONTROL_ADDRESS, EVIL, METADATA, ORIGIN, ORIGIN_V6, AttackTest, inside, ipv4, send_datagram, tcp_syn
from harness import eventually
from netns import in_namespace

HALF_OPEN_FLOWS = 100_000


def numbers_of_namespaces():
    """Those of 0 to 15 by which this namespace can ask for another's interfaces (rtnetlink(7): RTM_GETLINK)."""
    numbers = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        for number in range(16):
            # nlmsghdr, ifinfomsg, and the attribute IFLA_TARGET_NETNSID (46); NLM_F_REQUEST | NLM_F_DUMP.
            netlink.send(struct.pack("=IHHII16xHHi", 40, 18, 0x301, number, 0, 8, 46, number))
            kinds = []
            while not kinds or kinds[-1] not in (2, 3):  # NLMSG_ERROR, NLMSG_DONE
                part = netlink.recv(65536)
                while part:
                    length, kind = struct.unpack_from("=IH", part)
                    kinds.append(kind)
                    part = part[(length + 3) & ~3:]
            if 16 in kinds:  # RTM_NEWLINK
                numbers.append(number)
    return numbers


class WallsTest(AttackTest):
    def test_NB22_metadata_services(self):
        with self.nothing_leaves():
            for address in METADATA:
                for host in (f"[{address}]" if ":" in address else address, f"[::ffff:{address}]" if ":" not in address else "[fd00:ec2::254]:80"):
                    response = self.open.curl(f"http://{host}/latest/meta-data/", address=ORIGIN)
                    self.assertEqual((response.status, response.reason), (520, "forbidden_address"), response)
                for port in (22, 8080):
                    self.assert_reset(self.open, address, port)

    def test_NB24_neighbours_do_not_hear_each_other(self):
        server = in_namespace(f"/proc/{self.open.holder.pid}/ns/net", listening, 9000)
        self.addCleanup(server.close)
        with self.nothing_leaves():
            for address in ("192.0.2.2", "fd5a::2", "127.0.0.1"):
                with self.assertRaises(ConnectionRefusedError):
                    self.closed.connect(address, 9000)
            self.assert_reset(self.closed, ORIGIN, 9000)
        server.setblocking(False)
        with self.assertRaises(BlockingIOError):
            server.accept()

    def test_NB26_the_agents_port_is_no_destination(self):
        with self.nothing_leaves():
            for address in ("127.0.0.1", "::1"):
                with self.assertRaises(ConnectionRefusedError):
                    self.open.connect(address, 15001)
            before = self.world.audit.count()
            response = self.open.curl("http://127.0.0.1/", address=ORIGIN)
            self.assertEqual((response.status, response.reason), (520, "forbidden_address"), response)
            eventually(lambda: self.world.audit.since(before), what="a record")
            self.assertEqual([record["reason"] for record in self.world.audit.since(before)], ["forbidden_address"])

    def test_IP20_the_hosts_own_addresses(self):
        address, address_v6 = self.world.host_address, self.world.host_address_v6
        servers = [in_namespace(f"/run/netns/{self.world.host.name}", listening, port) for port in (80, 2222)]
        for server in servers:
            self.addCleanup(server.close)
            server.setblocking(False)
        with self.nothing_leaves():
            for host in (address, f"[{address_v6}]"):
                response = self.open.curl(f"http://{host}/", address=ORIGIN)
                self.assertEqual((response.status, response.reason), (520, "forbidden_address"), response)
            for host in (address, address_v6):
                self.assert_reset(self.open, host, 2222)
        for server in servers:
            with self.assertRaises(BlockingIOError):
                server.accept()

    def test_ID05_what_listens_on_the_hosts_loopback_is_not_there(self):
        server = in_namespace(f"/run/netns/{self.world.host.name}", listening, 7443)
        self.addCleanup(server.close)
        with self.nothing_leaves():
            for address in ("127.0.0.1", "::1", "192.0.2.2"):
                with self.assertRaises(ConnectionRefusedError):
                    self.open.connect(address, 7443)
        server.setblocking(False)
        with self.assertRaises(BlockingIOError):
            server.accept()

    def test_NB30_abstract_sockets_of_the_host_are_not_there(self):
        name = f"\0containerd-shim-{os.getpid()}"
        server = in_namespace(f"/run/netns/{self.world.host.name}", abstract_listener, name)
        self.addCleanup(server.close)

        def connect():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.connect(name)

        in_namespace(f"/run/netns/{self.world.host.name}", connect)
        with self.assertRaises(ConnectionRefusedError):
            inside(self.open, connect)
        self.assertEqual(self.open.run("grep", "-c", "containerd-shim", "/proc/thread-self/net/unix").stdout.strip(), "0")

    def test_NB38_the_hosts_network_cannot_be_administered_from_inside(self):
        """CAP_NET_ADMIN holds in each network namespace of its user namespace that can be named: by a number (IFLA_TARGET_NETNSID)."""
        for container in (self.open, self.closed):
            self.assertEqual(container.run("ip", "netns", "list-id").stdout, "")
            self.assertEqual(inside(container, numbers_of_namespaces), [])
        # The other way round there are numbers.
        self.assertGreaterEqual(len(in_namespace(f"/run/netns/{self.world.host.name}", numbers_of_namespaces)), 2)

    def test_NB36_half_open_flows_of_one_hurt_no_other(self):
        container = self.fresh("closed", "flooder")
        packets = [ipv4(6, tcp_syn(80, "192.0.2.2", f"203.0.{number >> 8 & 255}.{number & 255}", 1024 + number % 60_000),
                        destination=f"203.0.{number >> 8 & 255}.{number & 255}") for number in range(HALF_OPEN_FLOWS)]
        with self.nothing_leaves():
            sent = inside(container, flood, packets)
            self.assertEqual(sent, HALF_OPEN_FLOWS)
            # TCP takes no place in the table of tracked connections.
            self.assertLess(int(container.run("sysctl", "-n", "net.netfilter.nf_conntrack_count").stdout), 100)
            begin = time.monotonic()
            self.assert_denied(self.closed.raw(ORIGIN, 80, EVIL))
            self.assertLess(time.monotonic() - begin, 5)

    def test_NB38_without_the_agents_rules_there_is_nothing(self):
        for number, commands in enumerate((
                [["nft", "flush", "ruleset"]], [["nft", "delete", "table", "inet", "sallyport"]],
                [["ip", "rule", "del", "pref", "0"], ["ip", "-6", "rule", "del", "pref", "0"]],
                [["ip", "route", "flush", "table", "local"], ["ip", "-6", "route", "flush", "table", "local"]],
                [["ip", "link", "set", "lo", "down"]], [["ip", "link", "set", "lo", "netns", "1"]],
                [["nft", "add rule inet sallyport prerouting tcp dport 80 accept"], ["nft", "insert rule inet sallyport output accept"],
                 ["ip", "route", "replace", "default", "dev", "lo"]])):
            with self.subTest(commands):
                container = self.fresh("closed", f"ruin-{number}")
                with self.nothing_leaves():
                    for command in commands:
                        container.run(*command)
                    for address in (ORIGIN, ORIGIN_V6):
                        for port in (80, 22):
                            try:
                                with container.connect(address, port, timeout=0.3) as connection:
                                    connection.sendall(EVIL)
                                    self.assertNotIn(b" 200 ", connection.recv(4096))
                            except OSError:
                                pass
                    inside(container, send_datagram, ORIGIN, 53, b"x")
                container.close()

    def test_NB34_a_namespace_that_outlives_its_container_is_deaf(self):
        container = self.world.container("open", "leaked")
        leaked = os.open(f"/proc/{container.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.addCleanup(os.close, leaked)
        path = f"/proc/{os.getpid()}/fd/{leaked}"
        container.close()
        eventually(lambda: not self.world.cli("container", "get", "leaked")["container"].get("host"), 10, "detached")
        # The id is somebody else's now.
        again = self.fresh("open", "leaked")
        self.assertEqual(again.curl(f"http://{CONTROL_ADDRESS}/").status, 200)
        with self.nothing_leaves(), self.assertRaises(OSError):
            with in_namespace(path, connected, ORIGIN, 80) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n")
                self.assertEqual(connection.recv(1), b"")
                raise ConnectionResetError


def listening(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("::", port))
    server.listen(8)
    return server


def abstract_listener(name):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(name)
    server.listen(1)
    return server


def connected(address, port):
    return socket.create_connection((address, port), timeout=1)


def flood(packets):
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for packet in packets:
            sent += raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0)) == len(packet)
    return sent


if __name__ == "__main__":
    unittest.main(verbosity=2)
